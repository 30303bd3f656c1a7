"""DAGs of people who read a source by several tasks, or wait for it; test_ingest.py copies them into its Airflow."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG

from aimass.operators.ingest import IngestOperator
from aimass.operators.ingest_pieces import GatherIngestOperator, PlanIngestOperator
from aimass.sensors.new_data import NewDataSensor

LAKE = Path(__file__).resolve().parents[1] / "lake"
FILES = {"name": "orders", "source": {"type": "files", "uri": f"{LAKE}/*.csv"}, "mode": "incremental"}
TABLE = {
    "name": "orders",
    "source": {"type": "mysql", "table": "awaited", "incremental": ["id"]},
    "mode": "incremental",
}

with DAG("pieces", schedule=None):
    plan = PlanIngestOperator(task_id="plan", config=FILES, partitions=4, project="pieces")
    # A piece that dies stays dead until somebody clears it.
    pieces = IngestOperator.partial(task_id="read", project="pieces", retries=0).expand(config=plan.output)
    GatherIngestOperator(task_id="orders", config=FILES, pieces=pieces.output, project="pieces")

with DAG("awaited", schedule=None):
    arrived = NewDataSensor(task_id="arrived", config=TABLE, project="awaited", poke_interval=1, timeout=120)
    arrived >> IngestOperator(task_id="orders", config=TABLE, project="awaited")

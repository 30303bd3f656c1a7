"""DAGs of people who read a source by several tasks, or wait for it; test_ingest.py copies them into its Airflow."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG, Asset, AssetWatcher

from aimass.operators.ingest import IngestOperator
from aimass.operators.ingest_pieces import GatherIngestOperator, PlanIngestOperator
from aimass.sensors.new_data import NewDataSensor
from aimass.triggers.follow import NewDataTrigger

LAKE = Path(__file__).resolve().parents[1] / "lake"
FILES = {"name": "orders", "source": {"type": "files", "uri": f"{LAKE}/*.csv"}, "mode": "incremental"}
TABLE = {
    "name": "orders",
    "source": {"type": "mysql", "table": "awaited", "incremental": ["id"]},
    "mode": "incremental",
}
MESSAGES = {"name": "orders", "source": {"type": "kafka", "topics": ["pieces"]}, "mode": "incremental"}
FOLLOWED = {"name": "orders", "source": {"type": "kafka", "topics": ["followed"]}, "mode": "incremental"}

with DAG("pieces", schedule=None):
    plan = PlanIngestOperator(task_id="plan", config=FILES, partitions=4, project="pieces")
    # A piece that dies stays dead until somebody clears it.
    pieces = IngestOperator.partial(task_id="read", project="pieces", retries=0).expand(config=plan.output)
    GatherIngestOperator(task_id="orders", config=FILES, pieces=pieces.output, project="pieces")

with DAG("messages", schedule=None):
    plan = PlanIngestOperator(task_id="plan", config=MESSAGES, partitions=2, project="messages")
    pieces = IngestOperator.partial(task_id="read", project="messages").expand(config=plan.output)
    GatherIngestOperator(task_id="orders", config=MESSAGES, pieces=pieces.output, project="messages")

watcher = AssetWatcher(name="orders", trigger=NewDataTrigger(config=FOLLOWED, project="listening", poll_s=1))
with DAG("listening", schedule=[Asset("messages_arrived", watchers=[watcher])], max_active_runs=1):
    IngestOperator(task_id="orders", config=FOLLOWED, project="listening")

with DAG("awaited", schedule=None):
    arrived = NewDataSensor(task_id="arrived", config=TABLE, project="awaited", poke_interval=1, timeout=120)
    arrived >> IngestOperator(task_id="orders", config=TABLE, project="awaited")

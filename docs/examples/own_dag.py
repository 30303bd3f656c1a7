"""A team's own DAG: who will leave, from a CSV file beside this one."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG

from aimass.operators.clean import CleanOperator
from aimass.operators.evaluate import EvaluateOperator
from aimass.operators.featurize import FeaturizeOperator
from aimass.operators.ingest import IngestOperator
from aimass.operators.join import JoinOperator
from aimass.operators.release import ReleaseOperator
from aimass.operators.split import SplitOperator
from aimass.operators.train import TrainOperator

# [start dag]
CSV = Path(__file__).with_name("customers.csv").as_uri()
TARGET = {"name": "churned", "expr": "left_on is not null", "null": "error"}
COLUMNS = ["age", "plan", "city", "monthly_fee", "support_calls"]

with DAG(dag_id="churn", default_args={"project": "churn"}):
    ingest = IngestOperator(task_id="ingest", config={"name": "customers", "source": {"type": "files", "uri": CSV}})
    tables = {"customers": ingest.output["uri"]}
    join = JoinOperator(
        task_id="join", config={"tables": tables, "base": "customers", "columns": COLUMNS, "target": TARGET}
    )
    kind = {"type": "stratified", "column": "churned", "validation": 0.2, "test": 0.2, "seed": 7}
    split = SplitOperator(task_id="split", config={"dataset": join.output["uri"], "split": kind})
    clean = CleanOperator(task_id="clean", config={"dataset": split.output["uri"]})
    raw = {"raw": split.output["uri"]}
    featurize = FeaturizeOperator(task_id="featurize", config={"dataset": clean.output["uri"], **raw})
    ready = {"dataset": featurize.output["uri"]}
    train = TrainOperator(task_id="train", config={**ready, "models": [{"type": "lightgbm"}], "seed": 7})
    model = {"model": train.output["uri"]}
    evaluate = EvaluateOperator(task_id="evaluate", config={**ready, **model, "split": "test"})
    judged = {"features": featurize.output["uri"], "evaluation": evaluate.output["uri"], "name": "churn"}
    ReleaseOperator(task_id="release", config={**model, **raw, **judged})
# [end dag]

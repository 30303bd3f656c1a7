"""Run by the tests of this folder in an Airflow of its own: a served model, its log, and the DAGs that act on it.

``python -m tests.dags.loop <requests.json> <answers.json>``: each request is ``[dag id, conf]``; each answer has the
run's state, what its tasks returned, and the aliases afterwards.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from aimass.core.deps import Deps, Runtime
from aimass.core.release.promotion import open_registry, promote
from aimass.core.testing.endpoints_contract import served_package
from tests.unit.core.monitoring.logged import labels, predictions, publish_segment

MODEL = "late"
NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
ROWS = 40


def build(folder: Path) -> Deps:
    """Release three versions, and log answers for each of six hours; half of them turn out wrong at once."""
    deps = Deps.from_runtime(Runtime(store=os.environ["AIRFLOW__AIMASS__STORE"], project="shop"))
    registry = open_registry({"type": "mlflow"}, deps)
    for run, bias in enumerate((0.25, 0.5, 0.75)):
        own = replace(deps, runtime=deps.runtime.model_copy(update={"run_id": f"release-{run}"}))
        promote(registry, own, served_package(folder, MODEL, bias), alias="champion", why="released")
    raw = pl.DataFrame({"origin": ["JFK"] * ROWS, "distance": [0.5] * ROWS})
    for hour in range(6):
        answered = predictions(raw, [0.75] * ROWS, version="3", start=NOON + timedelta(hours=hour))
        publish_segment(deps, MODEL, answered, what="predictions", version="3")
        known = labels(answered, [0, 1] * (ROWS // 2), delay=timedelta(minutes=1))
        publish_segment(deps, MODEL, known, what="labels")
    return deps


def main(requests: Path, answers: Path) -> None:
    """Run every requested DAG, one after the other."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    initdb()
    deps = build(Path.cwd())
    found: list[dict[str, Any]] = []
    for dag_id, conf in json.loads(requests.read_text()):
        # A run leaves its conf in the DAG's parameters; a worker parses the file anew for each task.
        bag = DagBag(dag_folder="dags", bundle_path=Path("dags"), bundle_name="dags-folder")
        assert bag.import_errors == {}
        run = bag.dags[dag_id].test(run_conf=conf)
        instances = run.get_task_instances()
        model = open_registry({"type": "mlflow"}, deps).model(MODEL)
        found.append(
            {
                "state": str(run.state),
                "states": {
                    f"{ti.task_id}{ti.map_index if ti.map_index >= 0 else ''}": str(ti.state) for ti in instances
                },
                "results": {ti.task_id: ti.xcom_pull(task_ids=ti.task_id) for ti in instances},
                "aliases": model.aliases if model else {},
            }
        )
    answers.write_text(json.dumps(found, default=str))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

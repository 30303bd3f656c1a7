"""Every DAG file and every shipped pipeline, loaded as Airflow loads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from aimass.operators.stage import StageOperator
from aimass.pipelines.load import load_pipeline, pipeline_files
from aimass.pipelines.monitors import ACTION_DAGS, load_watch, monitor_dag_id

ROOT = Path(__file__).resolve().parents[2]
PIPELINES = pipeline_files(ROOT / "include" / "pipelines")
pytestmark = pytest.mark.dags


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(dag_folder=ROOT / "dags", bundle_path=ROOT / "dags", bundle_name="dags")


def test_every_file_loads(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert bag.dags


def test_every_pipeline_has_its_dag_and_none_is_broken(bag: DagBag) -> None:
    assert {load_pipeline(file).dag_id for file in PIPELINES} <= set(bag.dags)
    assert [dag_id for dag_id, dag in bag.dags.items() if "broken" in dag.tags] == []


def test_dags_are_ready_to_run(bag: DagBag) -> None:
    for dag in bag.dags.values():
        assert dag.is_paused_upon_creation is False, "the run of a paused DAG waits for ever"
        assert dag.doc_md
        assert dag.owner
        for task in dag.tasks:
            assert task.retries, f"{task.task_id} is not retried after a crash"


def test_every_stage_task_has_an_asset_or_is_a_part_of_one(bag: DagBag) -> None:
    for dag in bag.dags.values():
        for task in dag.tasks:
            # Whose project only a run knows, an asset cannot be named for; and an approval is no output.
            if isinstance(task, StageOperator) and task.form is None and task.task_id != "approve":
                if "{" in task.project or task.stage.startswith("optimize_"):
                    continue
                assert [asset.uri for asset in task.outlets] == [f"aimass://{task.project}/{task.task_id}"]


def test_every_watch_file_has_its_dag(bag: DagBag) -> None:
    watched = {monitor_dag_id(load_watch(file).model) for file in pipeline_files(ROOT / "include" / "alerts")}
    assert watched <= set(bag.dags)
    assert {"aimass_rollback", "aimass_retire", "aimass_batch_predict", "aimass_improve"} <= set(bag.dags)


def test_what_a_rule_may_order_is_there(bag: DagBag) -> None:
    assert set(ACTION_DAGS.values()) <= set(bag.dags)


# Reads every DAG file of a folder twice, each time in a process of its own, as Airflow does; the first may be the one
# that finds it good. A line tells what the second has loaded.
PARSE = """
import os, pathlib, runpy, sys
import airflow.sdk
heavy = {"numpy", "pandas", "polars", "pyarrow", "sklearn", "mlflow", "optuna", "lightgbm"}
assert not heavy & sys.modules.keys()
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    for time in ("first", "second"):
        if (pid := os.fork()) == 0:
            runpy.run_path(str(file))
            if time == "second":
                print(file.name, "loaded", sorted(heavy & sys.modules.keys()), flush=True)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0, file
"""


def test_parsing_what_was_found_good_loads_no_heavy_library(tmp_path: Path) -> None:
    environment = {
        "AIRFLOW__AIMASS__CHECK_CACHE": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, "-c", PARSE, str(ROOT / "dags")]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    lines = [line for line in told.splitlines() if " loaded " in line]
    assert lines == [f"{file.name} loaded []" for file in sorted((ROOT / "dags").glob("*.py"))], told

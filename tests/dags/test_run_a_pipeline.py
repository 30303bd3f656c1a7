"""A tiny pipeline, run by Airflow itself: its own database, its own way of rendering, mapping and retrying."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aimass.cli.scaffold import DAG_FILE

pytestmark = [pytest.mark.dags, pytest.mark.slow, pytest.mark.timeout(900)]

PIPELINE = """\
name: tiny
sources:
  people: {{type: files, uri: "{folder}/people.csv"}}
  cities: {{type: files, uri: "{folder}/cities.csv"}}
join: [{{table: cities, on: [city]}}]
columns: [age, city, size]
id: person
target: {{name: stays, null: error}}
split: {{type: random, validation: 0.2, test: 0.2, seed: 1}}
train: {{seed: 1, models: [{{type: logistic_regression}}, {{type: decision_tree, max_depth: 3}}]}}
optimize: {{rounds: 2, trials: 4, workers: 2, seed: 1}}
release: {{name: tiny_model}}
"""

RUN = """\
import json, sys
from pathlib import Path
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder="dags", bundle_path=Path("dags"), bundle_name="dags-folder")
run = bag.dags["aimass_tiny"].test(run_conf=json.loads(sys.argv[1]) or None)
found = {"state": str(run.state), "tasks": {}}
for ti in run.get_task_instances():
    key = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
    result = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index)
    found["tasks"][key] = {"state": str(ti.state), "result": result}
Path(sys.argv[2]).write_text(json.dumps(found, default=str))
"""


class Home:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        draw = random.Random(7)
        rows = []
        for person in range(600):
            age, city = draw.randint(18, 80), draw.choice(["oslo", "rome", "bonn"])
            stays = draw.random() < (0.75 if age > 45 else 0.25)
            rows.append(f"{person},{age},{city},{stays}")
        (folder / "people.csv").write_text("person,age,city,stays\n" + "\n".join(rows))
        (folder / "cities.csv").write_text("city,size\noslo,1\nrome,3\nbonn,2\n")
        for name, text in {
            "dags/aimass_pipelines.py": DAG_FILE,
            "include/pipelines/tiny.yaml": PIPELINE.format(folder=folder),
        }.items():
            (folder / name).parent.mkdir(parents=True)
            (folder / name).write_text(text)
        (folder / "run.py").write_text(RUN)

    def run(self, conf: dict[str, Any] | None = None) -> dict[str, Any]:
        own = {"AIRFLOW_HOME": str(self.folder), "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags")}
        answer = self.folder / "answer.json"
        done = subprocess.run(
            [sys.executable, "run.py", json.dumps(conf or {}), str(answer)],
            cwd=self.folder, env={**os.environ, **own}, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert answer.exists(), done.stdout[-3000:] + done.stderr[-3000:]
        found: dict[str, Any] = json.loads(answer.read_text())
        answer.unlink()
        found["log"] = done.stdout + done.stderr
        return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="module")
def first(home: Home) -> dict[str, Any]:
    return home.run()


def test_the_pipeline_ends_with_a_released_version(first: dict[str, Any]) -> None:
    states = {name: task["state"] for name, task in first["tasks"].items()}
    assert set(states.values()) == {"success"}, (states, first["log"][-3000:])
    assert first["state"] == "success"
    released = first["tasks"]["release"]["result"]
    assert released["name"] == "tiny_model"
    assert released["standing"] is True
    assert {"ingest[0]", "ingest[1]", "work_1[0]", "work_1[1]", "work_2[1]"} <= states.keys()


def test_the_same_again_reuses_every_stage(home: Home, first: dict[str, Any]) -> None:
    again = home.run()
    assert again["state"] == "success"
    results = {name: task["result"] for name, task in again["tasks"].items() if isinstance(task["result"], dict)}
    assert {name for name, result in results.items() if not result["reused"]} == set()
    assert results["release"]["version"] == first["tasks"]["release"]["result"]["version"]


def test_one_changed_parameter_runs_only_what_depends_on_it(home: Home, first: dict[str, Any]) -> None:
    changed = home.run({"train": {"models": [{"type": "decision_tree", "max_depth": 2}]}})
    assert changed["state"] == "success", changed["log"][-3000:]
    reused = {
        name for name, task in changed["tasks"].items() if isinstance(task["result"], dict) and task["result"]["reused"]
    }
    assert {"ingest[0]", "join", "split", "explore", "validate", "clean", "featurize"} <= reused
    assert not {"train", "evaluate"} & reused


@pytest.mark.parametrize(
    ("conf", "told"),
    [
        ({"sources": {"people": {"uri": "/etc/passwd"}}}, "allowed_roots"),
        ({"trian": {}}, "'train'"),
        ({"train": {"sede": 1}}, "'seed'"),
    ],
)
def test_a_wrong_conf_fails_before_anything_runs(home: Home, conf: dict[str, Any], told: str) -> None:
    failed = home.run(conf)
    assert failed["state"] == "failed"
    assert failed["tasks"]["ingest[0]"]["state"] == "failed"
    assert told in failed["log"]
    assert {task["state"] for name, task in failed["tasks"].items() if not name.startswith("ingest")} == {
        "upstream_failed"
    }

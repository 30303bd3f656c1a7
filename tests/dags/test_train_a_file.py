"""An ad-hoc training from a filled-in form, run by Airflow itself: Chinese columns, Chinese classes, nobody asked."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aimass.cli.scaffold import FORM_DAG_FILE

pytestmark = [pytest.mark.dags, pytest.mark.slow, pytest.mark.timeout(900)]

RUN = """\
import json, sys
from pathlib import Path
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder="dags", bundle_path=Path("dags"), bundle_name="dags-folder")
run = bag.dags["aimass_train_file"].test(run_conf=json.loads(sys.argv[1]))
found = {"state": str(run.state), "states": {}, "results": {}}
for ti in run.get_task_instances():
    key = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
    found["states"][key] = str(ti.state)
    found["results"][key] = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index)
Path(sys.argv[2]).write_text(json.dumps(found, default=str))
"""


class Home:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        draw = random.Random(7)
        rows = []
        for person in range(600):
            age, city = draw.randint(18, 80), draw.choice(["北京", "上海", "广州"])
            leaves = "是" if draw.random() < (0.75 if age > 45 else 0.25) else "否"
            rows.append(f"{person},{age},{city},{leaves}")
        self.file = folder / "store" / "uploads" / "客户.csv"
        self.file.parent.mkdir(parents=True)
        self.file.write_text("编号,年龄,城市,流失\n" + "\n".join(rows), encoding="gb18030")
        (folder / "dags").mkdir()
        (folder / "dags" / "aimass_train.py").write_text(FORM_DAG_FILE)
        (folder / "run.py").write_text(RUN)

    def run(self, **changes: Any) -> dict[str, Any]:
        conf = {
            "name": "churn", "file": str(self.file), "encoding": "gb18030", "target": "流失", "positive": "是",
            "id_columns": ["编号"], "families": ["logistic_regression", "decision_tree"], "trials": 3, "rounds": 2,
            "approval": False, **changes,
        }  # fmt: skip
        own = {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__AIMASS__STORE": str(self.folder / "store"),
        }
        answer = self.folder / "answer.json"
        done = subprocess.run(
            [sys.executable, "run.py", json.dumps(conf), str(answer)],
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


def test_an_uploaded_file_becomes_a_released_model(home: Home) -> None:
    found = home.run()
    assert found["state"] == "success", found["log"][-3000:]
    results = found["results"]
    assert results["join"]["classes"] == {
        "否": results["join"]["classes"]["否"],
        "是": results["join"]["classes"]["是"],
    }
    assert results["split"]["boundaries"]["column"] == "流失"
    assert "/file.churn/release/" in results["release"]["uri"]
    assert results["release"]["name"] == "churn"
    assert results["release"]["standing"] is True
    assert results["approve"]["asked"] is False
    assert {one["family"] for one in results["train"]["candidates"]} == {"logistic_regression", "decision_tree"}
    # Rounds that the form does without are skipped, and what comes after them goes on.
    skipped = {name for name, state in found["states"].items() if state == "skipped"}
    assert skipped == {"work_3", "work_4"}


def test_what_is_wrong_fails_the_first_task(home: Home) -> None:
    found = home.run(file="/etc/passwd", metric="auc")
    assert found["state"] == "failed"
    assert found["states"]["ingest"] == "failed"
    assert "allowed_roots" in found["log"]
    assert {state for name, state in found["states"].items() if name != "ingest"} == {"upstream_failed"}

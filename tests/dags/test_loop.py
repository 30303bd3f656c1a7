"""Watch, order, roll back, retire and predict, run by Airflow itself on an MLflow registry and a server in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aimass.cli.scaffold import ACTION_DAG_FILE, ACTIONS, MONITOR_DAG_FILE
from tests.dags.loop import MODEL, ROWS

pytestmark = [pytest.mark.dags, pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[2]

WATCH = """\
model: late
schedule: null
min_rows: 10
settle_s: 0
quality: {metrics: [accuracy], min_labels: 20}
rules:
  - {name: half_wrong, metric: accuracy_high, below: 0.8, k: 2, n: 3, level: 4, action: rollback, why: a test}
  - {name: unknown, metric: auc, below: 0.5, k: 2, n: 3, action: retire, no_data_k: 2}
"""
MONITOR = f"aimass_monitor_{MODEL}"


class Home:
    """An Airflow home with the DAG files that ``airflow aimass init`` writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files = {"dags/aimass_monitor.py": MONITOR_DAG_FILE, f"include/alerts/{MODEL}.yaml": WATCH}
        files |= {f"dags/aimass_{name}.py": ACTION_DAG_FILE.format(name=name) for name in ACTIONS}
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    def run(self, *requests: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        store = (self.folder / "store").as_uri()
        server = {"type": "memory", "store": store, "registry": {"type": "mlflow"}}
        own = {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__AIMASS__STORE": store,
            "AIRFLOW_CONN_AIMASS_SERVING": json.dumps({"conn_type": "aimass_serving", "extra": server}),
            "PYTHONPATH": f"{ROOT / 'providers'}{os.pathsep}{ROOT}",
        }
        asked, answers = self.folder / "requests.json", self.folder / "answers.json"
        asked.write_text(json.dumps(requests))
        done = subprocess.run(
            [sys.executable, "-m", "tests.dags.loop", str(asked), str(answers)],
            cwd=self.folder, env={**os.environ, **own}, capture_output=True, text=True, timeout=800, check=False,
        )  # fmt: skip
        assert answers.exists(), done.stdout[-3000:] + done.stderr[-3000:]
        self.log = done.stdout + done.stderr
        (self.folder / "log.txt").write_text(self.log)
        found: list[dict[str, Any]] = json.loads(answers.read_text())
        return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what came of all that is asked of one Airflow, by name: starting one for each would take minutes."""
    home = Home(tmp_path_factory.mktemp("airflow"))
    back = {"model": MODEL, "why": "worse"}
    requests: dict[str, tuple[str, dict[str, Any]]] = {
        "first window": (MONITOR, {"end": "2026-04-01T13:00:00Z"}),
        "second window": (MONITOR, {"end": "2026-04-01T14:00:00Z"}),
        "second window again": (MONITOR, {"end": "2026-04-01T14:00:00Z"}),
        "an unknown model": ("aimass_rollback", {**back, "model": "latte"}),
        "a server that nobody allowed": ("aimass_rollback", {**back, "endpoint": "elsewhere"}),
        "evidence outside the store": ("aimass_rollback", {**back, "evidence": "/etc"}),
        "back": ("aimass_rollback", {**back, "leave": "3"}),
        "back again": ("aimass_rollback", {**back, "leave": "3"}),
        "an alias in use": ("aimass_retire", {"model": MODEL, "version": "2", "why": "old"}),
        "retired": ("aimass_retire", {"model": MODEL, "version": "3", "why": "bad", "grace_minutes": 0}),
        "no challenger": ("aimass_improve", {"model": MODEL}),
        "a forbidden file": ("aimass_batch_predict", {"model": MODEL, "input": "/etc/passwd"}),
        "a logged hour": (
            "aimass_batch_predict",
            {"model": MODEL, "shards": 2, "input": f"{(home.folder / 'store').as_uri()}/shop/predictions/{MODEL}/"
             "20260401T120000Z-here-v3-0"},
        ),
    }  # fmt: skip
    found = dict(zip(requests, home.run(*requests.values()), strict=True))
    return {**found, "log": home.log}


def test_one_bad_window_changes_nothing(told: dict[str, Any]) -> None:
    found = told["first window"]
    assert found["state"] == "success", told["log"][-3000:]
    assert found["results"]["monitor"]["metrics"]["rows"] == ROWS
    assert found["results"]["judge"]["orders"] == []
    assert (found["states"]["rollback"], found["states"]["retire"]) == ("skipped", "skipped")


@pytest.mark.parametrize("window", ["second window", "second window again"])
def test_k_of_n_bad_windows_order_a_rollback_once(told: dict[str, Any], window: str) -> None:
    found = told[window]
    (order,) = found["results"]["judge"]["orders"]
    assert (order["action"], order["version"], order["rules"]) == ("rollback", "3", ["half_wrong"])
    assert order["evidence"] == found["results"]["monitor"]["uri"]
    # Judged again it orders the same run, which is there already.
    assert found["states"]["rollback"] == ("success" if window == "second window" else "skipped")
    assert found["states"]["retire"] == "skipped", "no data never acts in silence"
    assert found["state"] == "success"


@pytest.mark.parametrize(
    ("what", "word"),
    [
        ("an unknown model", "no registered model 'latte'"),
        ("a server that nobody allowed", "allowed_connections"),
        ("evidence outside the store", "allowed_roots"),
    ],
)
def test_a_wrong_request_fails_before_anything_moves(told: dict[str, Any], what: str, word: str) -> None:
    found = told[what]
    assert found["states"] == {
        "choose": "failed", "verify": "upstream_failed", "move": "upstream_failed", "confirm": "upstream_failed",
        "evidence": "upstream_failed",
    }  # fmt: skip
    assert found["aliases"] == {"champion": "3", "previous": "2"}
    assert word in told["log"]


def test_the_way_back_ends_with_evidence(told: dict[str, Any]) -> None:
    found = told["back"]
    assert set(found["states"].values()) == {"success"}, told["log"][-3000:]
    assert found["aliases"] == {"champion": "2", "previous": "1"}
    evidence = found["results"]["evidence"]
    assert (evidence["left"], evidence["target"], evidence["serving"]) == ("3", "2", ["aimass_serving"])
    assert evidence["report"]


def test_a_version_that_was_left_already_is_not_left_again(told: dict[str, Any]) -> None:
    found = told["back again"]
    assert found["state"] == "success"
    assert found["states"]["move"] == "skipped"
    assert found["aliases"] == {"champion": "2", "previous": "1"}


def test_what_is_in_use_is_not_retired(told: dict[str, Any]) -> None:
    assert told["an alias in use"]["states"]["deprecate"] == "failed"
    assert "still point at version 2" in told["log"]


def test_a_version_goes_out_of_use_step_by_step(told: dict[str, Any]) -> None:
    found = told["retired"]
    assert set(found["states"].values()) == {"success"}, found
    assert found["results"]["archive"] == {"archive": "archived"}


def test_only_pipelines_that_release_may_be_asked_for_a_better_model(told: dict[str, Any]) -> None:
    assert told["no challenger"]["states"]["choose"] == "failed"
    assert "pipeline that releases a model 'shop'" in told["log"]


def test_a_batch_may_not_read_what_nobody_allowed(told: dict[str, Any]) -> None:
    assert told["a forbidden file"]["states"]["rows"] == "failed"


def test_a_batch_is_answered_shard_by_shard(told: dict[str, Any]) -> None:
    found = told["a logged hour"]
    assert found["state"] == "success", told["log"][-3000:]
    assert {"predict0", "predict1"} <= found["states"].keys()
    summary = found["results"]["summary"]
    assert (summary["rows"], summary["version"], len(summary["uris"])) == (ROWS, "2", 2)

"""A rule that orders a better model: a run trains a challenger on what the table has become, and puts it into use."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from aimass.core.endpoints.http import HttpEndpoint, HttpSettings
from demo.services import Services
from demo.startup import wait_for_dag
from tests.crash.customers import write_customers
from tests.e2e.running import Demo

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]
MODEL = "grows_model"
MONITOR, IMPROVE = f"aimass_monitor_{MODEL}", "aimass_improve"
ROWS = 40
PATIENCE_S = 300.0

PIPELINE = """
name: grows
description: One small tree, learned anew when a rule asks for it.
sources:
  customers: {{type: files, uri: "{csv}"}}
target: {{name: churned}}
split: {{type: stratified, column: churned, validation: 0.2, test: 0.2, seed: 3}}
train: {{seed: 5, models: [{{type: decision_tree, max_depth: 4}}]}}
release: {{name: grows_model}}
"""
FIRST = {"train": {"models": [{"type": "decision_tree", "max_depth": 1}]}}
# Any traffic at all is reason enough: what is looked at here is what follows from it.
WATCH = f"""
model: {MODEL}
pipeline: grows
schedule: null
min_rows: 10
settle_s: 0
rules:
  - {{name: asked, metric: mean_probability, above: 0, k: 1, n: 1, level: 2, action: retrain, why: a test}}
"""


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until `condition` holds; return what it returned."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.5)
    return found


@pytest.fixture(scope="module")
def served(demo: Demo) -> Iterator[HttpEndpoint]:
    """The demo's server, which answers with a model that was made of fewer rows and one question."""
    table = demo.pipelines.parent / "growing.csv"
    write_customers(table, rows=400)
    (demo.pipelines / "grows.yaml").write_text(PIPELINE.format(csv=table.as_uri()))
    ran = demo.run("grows", json.dumps(FIRST))
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr
    Services(demo.home).wait_until_ready({"serving", "triggerer"})
    (demo.home.alerts / f"{MODEL}.yaml").write_text(WATCH)
    for dag_id in (MONITOR, IMPROVE):
        wait_for_dag(demo.airflow, dag_id)
    write_customers(table, rows=2_000)
    yield HttpEndpoint(HttpSettings(url=demo.home.serving_url))
    (demo.home.alerts / f"{MODEL}.yaml").unlink()


def answering(endpoint: HttpEndpoint) -> str | None:
    model = endpoint.sync().model(MODEL)
    return model.aliases.get("champion") if model is not None else None


def end(demo: Demo, dag_id: str, run_id: str) -> dict[str, str]:
    """Wait until the run has ended; return its tasks' states."""
    until(lambda: demo.airflow.run(dag_id, run_id)["state"] in ("success", "failed"), f"{run_id} ends")
    return {task["task_id"]: task["state"] for task in demo.airflow.tasks(dag_id, run_id)}


def test_a_rule_has_a_challenger_trained_compared_and_put_into_use(demo: Demo, served: HttpEndpoint) -> None:
    airflow = demo.airflow
    until(lambda: answering(served) == "1", "the first version answers")
    rows = [
        {"age": 20 + number, "plan": "abc"[number % 3], "fee": 20.5, "calls": number % 10} for number in range(ROWS)
    ]
    assert served.predict(MODEL, rows)["version"] == "1"
    log = demo.home.store / "grows" / "predictions" / MODEL
    until(lambda: list(log.glob("*/manifest.json")), f"the answers are in {log}")

    watched = airflow.trigger(MONITOR, {"end": datetime.now(UTC).isoformat()})
    assert end(demo, MONITOR, watched)["retrain"] == "success"
    (newest,) = airflow.get("dags", MONITOR, "dagRuns", order_by="-run_after", state="success", limit=1)["dag_runs"]
    assert newest["dag_run_id"] == watched
    (order,) = airflow.result(MONITOR, watched, "judge")["orders"]
    assert (order["action"], order["version"], order["rules"]) == ("retrain", "1", ["asked"])

    (run,) = airflow.get("dags", IMPROVE, "dagRuns")["dag_runs"]
    assert run["conf"]["pipeline"] == "grows"
    states = end(demo, IMPROVE, run["dag_run_id"])
    assert states == dict.fromkeys(("choose", "train", "compare", "approve", "promote"), "success")
    (trained,) = [each for each in airflow.get("dags", "aimass_grows", "dagRuns")["dag_runs"] if each["conf"] != FIRST]
    assert trained["dag_run_id"] == f"improve__{run['dag_run_id']}"
    released = airflow.result("aimass_grows", trained["dag_run_id"], "release")
    assert (released["version"], released["alias"], released["standing"]) == ("2", "challenger", True)
    compared = airflow.result(IMPROVE, run["dag_run_id"], "compare")
    assert (compared["version"], compared["champion"], compared["promote"]) == ("2", "1", True)
    challenger, champion = compared["metrics"]["auc"]
    assert challenger > champion
    moved = airflow.result(IMPROVE, run["dag_run_id"], "promote")
    assert (moved["before"], moved["version"]) == ("1", "2")
    assert answering(served) == "2"
    assert served.predict(MODEL, rows)["version"] == "2"

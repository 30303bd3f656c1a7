"""A release that waits for a person, asked and answered over REST; people are told by a channel of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.e2e.running import Demo
from tests.services.posts import Posts, received_posts

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]
DAG = "aimass_asked"
OTHER_MODEL = {"train": {"models": [{"type": "decision_tree", "max_depth": 2}]}}
PATIENCE_S = 300


class Asked:
    """The pipeline whose releases are approved."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        self.airflow = demo.airflow
        login = {"username": "admin", "password": demo.home.secrets["password"]}
        token = requests.post(f"{demo.home.airflow_url}/auth/token", json=login, timeout=30).json()["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, body: dict[str, Any]) -> requests.Response:
        url = f"{self.demo.home.airflow_url}/api/v2/{path}"
        return requests.request(method, url, json=body, headers=self.headers, timeout=30)

    def question(self, conf: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Start a run; return its id, and what it asks."""
        run_id = self.airflow.trigger(DAG, conf)
        path = ("dags", DAG, "dagRuns", run_id, "taskInstances", "approve")
        self.wait(lambda: self.airflow.get(*path)["state"] == "awaiting_input" or self.state(run_id) == "failed")
        found: dict[str, Any] = self.airflow.get(*path, "-1", "hitlDetails")
        # Airflow 3.3 asks anew where an answer comes before its scheduler has heard that the task waits: nobody who has
        # to read the question is as quick as this test.
        parked = datetime.now(UTC) + timedelta(seconds=1)
        self.wait(lambda: self.scheduler_heartbeat() > parked)
        return run_id, found

    def scheduler_heartbeat(self) -> datetime:
        """Return when the scheduler last said that it goes round."""
        health = self.airflow.get("monitor", "health")["scheduler"]
        return datetime.fromisoformat(health["latest_scheduler_heartbeat"])

    def answer(self, run_id: str, option: str, note: str) -> int:
        quoted = requests.utils.quote(run_id, safe="")
        path = f"dags/{DAG}/dagRuns/{quoted}/taskInstances/approve/-1/hitlDetails"
        return self.call("PATCH", path, {"chosen_options": [option], "params_input": {"note": note}}).status_code

    def state(self, run_id: str) -> str:
        return str(self.airflow.run(DAG, run_id)["state"])

    def end(self, run_id: str) -> dict[str, str]:
        """Wait until the run has ended; return its tasks' states."""
        self.wait(lambda: self.state(run_id) in ("success", "failed"))
        return {task["task_id"]: task["state"] for task in self.airflow.tasks(DAG, run_id)}

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._holds(condition):
            assert time.monotonic() < deadline, f"waited {PATIENCE_S} s in vain"
            time.sleep(0.5)

    def _holds(self, condition: Callable[[], bool]) -> bool:
        try:
            return condition()
        except OSError:
            # A server whose machine is busy with training answers late: it is asked again.
            return False


@pytest.fixture(scope="module")
def posts() -> Iterator[Posts]:
    with received_posts() as found:
        yield found


@pytest.fixture(scope="module")
def asked(demo: Demo, posts: Posts) -> Asked:
    answer = demo.call("up")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    found = Asked(demo)
    config = {"path": f"json://127.0.0.1:{posts.port}/"}
    body = {"connection_id": "chat", "conn_type": "apprise", "extra": json.dumps({"config": config})}
    assert found.call("POST", "connections", body).status_code == 201
    found.wait(lambda: found.airflow.get("dags", DAG) is not None)
    return found


def test_a_yes_releases_and_stands_in_the_ledger(asked: Asked, posts: Posts) -> None:
    run_id, question = asked.question({})
    assert question["subject"].startswith("Release asked_model as champion?")
    assert "| auc |" in question["body"]
    assert "/tasks/evaluate_best/report" in question["body"]
    assert asked.answer(run_id, "Maybe", "") == 400
    assert asked.answer(run_id, "Approve", "better") == 200
    assert asked.answer(run_id, "Approve", "again") == 409
    assert asked.end(run_id)["release"] == "success"
    (entry,) = (asked.demo.home.store / "ledger" / "asked_model").iterdir()
    assert json.loads(entry.read_text())["why"] == "approved by admin: better"
    asked.wait(lambda: len(posts.received) == 2)
    wanted, succeeded = posts.received
    assert "waits for your approval" in wanted["title"]
    assert "/required_actions" in wanted["message"]
    assert "the run succeeded" in succeeded["title"]
    assert "approved by admin: better" in succeeded["message"]


def test_a_no_skips_the_release_and_nobody_is_asked_about_nothing(asked: Asked, posts: Posts) -> None:
    run_id, question = asked.question(OTHER_MODEL)
    assert "champion (version 1)" in question["body"]
    assert asked.answer(run_id, "Reject", "no better") == 200
    states = asked.end(run_id)
    assert (states["approve"], states["release"], asked.state(run_id)) == ("success", "skipped", "success")
    assert asked.airflow.result(DAG, run_id, "approve")["reason"] == "rejected by admin: no better"
    asked.wait(lambda: len(posts.received) == 3)
    # The success before was told a moment ago: this one is held back, and only the question is new.
    assert "waits for your approval" in posts.received[-1]["title"]
    unchanged = asked.airflow.trigger(DAG, {})
    assert asked.end(unchanged)["release"] == "success"
    assert asked.airflow.result(DAG, unchanged, "approve")["asked"] is False
    assert len(posts.received) == 3

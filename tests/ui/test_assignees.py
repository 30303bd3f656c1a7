"""Only whom a release was assigned to may answer: Airflow's own route refuses others, and our pages do not ask them."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.ui.conftest import Client
from tests.ui.people import OWNER
from tests.ui.seeding import Seeding

DAG_ID = "aimass_customers"
ANSWER = f"/api/v2/dags/{DAG_ID}/dagRuns/manual__1/taskInstances/approve/-1/hitlDetails"


@pytest.fixture
def asked(seeding: Seeding) -> Seeding:
    """A release that waits for the answer of `OWNER`."""
    seeding.dag(DAG_ID)
    seeding.run(DAG_ID, "manual__1", state="running")
    task = seeding.task(DAG_ID, "manual__1", "approve", state="awaiting_input")
    seeding.question(task, subject="Release customers?", users=[OWNER.username])
    return seeding


def test_others_may_not_answer(asked: Seeding, user: TestClient) -> None:
    answer = user.patch(ANSWER, json={"chosen_options": ["Approve"], "params_input": {}})
    assert answer.status_code == 403
    assert "Release customers?" not in user.get("/aimass/").text


def test_who_was_assigned_is_asked_and_answers(asked: Seeding, client: Client) -> None:
    owner = client(OWNER)
    assert "Release customers?" in owner.get("/aimass/").text
    answer = owner.patch(ANSWER, json={"chosen_options": ["Approve"], "params_input": {}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["responded_by"]["id"] == OWNER.username
    assert "Release customers?" not in owner.get("/aimass/").text

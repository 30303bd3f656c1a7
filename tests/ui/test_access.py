"""Every page: 401 for nobody, 403 for who may not read that DAG, and headers that keep users' data where it is."""

from __future__ import annotations

import re

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from aimass.ui.routes import ROUTERS
from tests.ui.people import OWNER, THEIRS
from tests.ui.seeding import Seeding

ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
READS = [route.path for route in ROUTES if "GET" in route.methods]
OF_A_DAG = [path for path in READS if "{dag_id}" in path]
VALUES = {
    **{"dag_id": THEIRS, "run_id": "manual__1", "task_id": "split", "map_index": "-1", "name": "x", "form": "file"},
    **{"start": "20260401T000000Z", "file": "report.html"},
}


def address(path: str, **values: str) -> str:
    return "/aimass" + re.sub(r"\{(\w+)[^}]*\}", lambda found: {**VALUES, **values}[found[1]], path)


def test_there_are_pages_of_dags() -> None:
    assert len(OF_A_DAG) >= 6, OF_A_DAG


@pytest.mark.parametrize("path", READS)
def test_nobody_is_asked_to_log_in(path: str, nobody: TestClient) -> None:
    answer = nobody.get(address(path))
    assert answer.status_code == 401
    assert "/auth/login" in answer.text


@pytest.mark.parametrize("path", [route.path for route in ROUTES if "POST" in route.methods])
def test_nobody_sends_a_form(path: str, nobody: TestClient) -> None:
    assert nobody.post(address(path)).status_code == 401


@pytest.mark.parametrize("path", OF_A_DAG)
def test_another_teams_dag_is_refused(path: str, seeding: Seeding, reader: TestClient) -> None:
    seeding.dag(THEIRS)
    seeding.run(THEIRS, "manual__1")
    assert reader.get(address(path)).status_code == 403


@pytest.mark.parametrize("path", OF_A_DAG)
def test_a_dag_that_is_not_there_tells_nothing(path: str, seeding: Seeding, reader: TestClient) -> None:
    assert reader.get(address(path, dag_id="aimass_no_such_dag")).status_code in (200, 403, 404)


def test_lists_leave_out_what_one_may_not_read(seeding: Seeding, client, reader: TestClient) -> None:  # type: ignore[no-untyped-def]
    seeding.dag(THEIRS)
    assert THEIRS not in reader.get("/aimass/").text
    assert THEIRS in client(OWNER).get("/aimass/").text


def test_pages_keep_their_data_to_themselves(seeding: Seeding, reader: TestClient) -> None:
    headers = reader.get("/aimass/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert headers["x-content-type-options"] == "nosniff"
    assert "no-store" in headers["cache-control"]


def test_a_form_of_another_site_is_refused(seeding: Seeding, user: TestClient) -> None:
    seeding.dag("aimass_train_file")
    answer = user.post("/aimass/new", data={"path": "x.csv"}, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403

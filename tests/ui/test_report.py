"""The report of a task, as its viewer shows it."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.ui.made import DAG_ID, HOSTILE, MadeRun
from tests.ui.seeding import Seeding

VIEWER = "/aimass/pipelines/aimass_customers/runs/manual__made/tasks/{task}/report"


def test_the_report_is_shown_in_a_frame_that_can_do_no_harm(stored: MadeRun, reader: TestClient) -> None:
    address = VIEWER.format(task="explore")
    shown = reader.get(address)
    assert shown.status_code == 200, shown.text
    assert f"{address}/content" in shown.text
    content = reader.get(f"{address}/content")
    assert content.headers["content-security-policy"].startswith("sandbox;")
    assert HOSTILE not in content.text


def test_a_task_without_a_report_says_so(stored: MadeRun, reader: TestClient) -> None:
    assert reader.get(VIEWER.format(task="split")).status_code == 404
    assert reader.get(VIEWER.format(task="none")).status_code == 404


def test_the_report_is_refused_to_nobody(stored: MadeRun, nobody: TestClient) -> None:
    assert nobody.get(VIEWER.format(task="explore")).status_code == 401


def test_a_refusals_report_is_shown_although_its_task_failed(
    stored: MadeRun, seeding: Seeding, reader: TestClient
) -> None:
    run_id = seeding.run(DAG_ID, "refused", state="failed")
    seeding.task(DAG_ID, run_id, "release", state="failed")
    told = {"error": "GateRefusedError", "message": "Not better", "report": stored.results["release", -1]["report"]}
    seeding.xcom(DAG_ID, run_id, "release", told, key="failure")
    address = f"/aimass/pipelines/{DAG_ID}/runs/{run_id}/tasks/release/report"
    assert reader.get(f"{address}/content").status_code == 200
    assert f'href="{address}"' in reader.get(f"/aimass/pipelines/{DAG_ID}?run={run_id}").text


def test_a_failures_report_outside_of_the_store_is_not_shown(
    stored: MadeRun, seeding: Seeding, reader: TestClient
) -> None:
    run_id = seeding.run(DAG_ID, "failed", state="failed")
    seeding.task(DAG_ID, run_id, "release", state="failed")
    seeding.xcom(DAG_ID, run_id, "release", {"report": "file:///etc/report.html"}, key="failure")
    assert reader.get(f"/aimass/pipelines/{DAG_ID}/runs/{run_id}/tasks/release/report").status_code == 404

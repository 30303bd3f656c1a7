"""The report of a task, as its viewer shows it."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.ui.made import HOSTILE, MadeRun

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

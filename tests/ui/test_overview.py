"""The overview: what needs the reader, and every pipeline that they may see."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.ui.conftest import Client
from tests.ui.people import OWNER, THEIRS, USER, VIEWER
from tests.ui.seeding import NOON, Seeding

HOSTILE = "<img src=x onerror=alert(1)>"
EVALUATION = {
    "best": "b",
    "candidates": [{"name": "a", "metrics": {"auc": 0.5}}, {"name": "b", "metrics": {"auc": 0.8125}}],
}
RELEASE = {"name": "churn", "version": "7", "alias": "champion", "standing": True}


def rows_of(page: str) -> list[str]:
    """Return the ids of the listed DAGs, in order."""
    return re.findall(r'role="rowheader"><a href="/aimass/pipelines/([^"]+)"', page)


def test_it_is_refused_to_nobody(nobody: TestClient) -> None:
    assert nobody.get("/aimass/").status_code == 401


def test_with_no_pipeline_it_leads_to_the_first_model(seeding: Seeding, reader: TestClient) -> None:
    page = reader.get("/aimass/").text
    assert "No pipeline yet" in page
    assert 'href="/aimass/new"' in page


def test_a_pipeline_is_listed_with_its_last_runs_quality_and_release(seeding: Seeding, reader: TestClient) -> None:
    dag_id = seeding.dag(
        "aimass_churn", description="**Who leaves?** Asked daily.", owners="crm", timetable_summary="@daily"
    )
    for age in range(20, 1, -1):
        run_id = seeding.run(dag_id, state="failed" if age == 4 else "success", age_h=age)
    seeding.task(dag_id, run_id, "evaluate_best", result=EVALUATION)
    seeding.task(dag_id, run_id, "release", result=RELEASE)
    seeding.run(dag_id, state="running", age_h=0.5)
    page = reader.get("/aimass/").text
    assert "Who leaves? Asked daily." in page
    assert "9 of the last 10 runs succeeded" in page
    assert "0.812" in page
    assert 'href="/aimass/models/churn?version=7"' in page
    assert page.count("<rect ") == 15
    assert "@daily" in page


def test_the_last_success_counts_however_long_ago(seeding: Seeding, reader: TestClient) -> None:
    dag_id = seeding.dag("aimass_churn")
    run_id = seeding.run(dag_id, age_h=900)
    seeding.task(dag_id, run_id, "evaluate_best", result=EVALUATION)
    for age in range(16):
        seeding.run(dag_id, state="failed", age_h=age)
    page = reader.get("/aimass/").text
    assert "0.812" in page
    assert "0 of the last 10 runs succeeded" in page


def test_only_dags_of_ours_that_the_reader_may_read_are_listed(seeding: Seeding, client: Client) -> None:
    for dag_id in ("aimass_ours", THEIRS):
        seeding.run(seeding.dag(dag_id), state="failed")
    seeding.dag("something_else", tags=("etl",))
    seeding.dag("aimass_gone", is_stale=True)
    assert rows_of(client(VIEWER).get("/aimass/").text) == ["aimass_ours"]
    assert THEIRS not in client(VIEWER).get("/aimass/").text
    assert set(rows_of(client(OWNER).get("/aimass/").text)) == {"aimass_ours", THEIRS}


@pytest.mark.parametrize(("users", "asked"), [((), True), (("uma", "ada"), True), (("ada",), False)])
def test_a_question_is_shown_to_those_who_may_answer(seeding: Seeding, client: Client, users: Any, asked: bool) -> None:
    dag_id = seeding.dag("aimass_churn")
    run_id = seeding.run(dag_id, state="running")
    seeding.question(
        seeding.task(dag_id, run_id, "approve", state="awaiting_input"), subject="Release it?", users=users
    )
    page = client(USER).get("/aimass/").text
    assert ("Release it?" in page) == asked
    assert (f'href="/dags/{dag_id}/runs/{run_id}/tasks/approve/required_actions"' in page) == asked
    assert "waiting for an answer" in page
    assert "Release it?" not in client(VIEWER).get("/aimass/").text


def test_an_answered_question_is_not_shown(seeding: Seeding, user: TestClient) -> None:
    dag_id = seeding.dag("aimass_churn")
    task = seeding.task(dag_id, seeding.run(dag_id, state="running"), "approve", state="awaiting_input")
    seeding.question(task, responded_at=NOON + timedelta(hours=1))
    assert "Needs you" not in user.get("/aimass/").text


def test_what_failed_and_what_was_refused_say_why(seeding: Seeding, reader: TestClient) -> None:
    for name, task_id, error in (("churn", "validate", "DataError"), ("fraud", "release", "GateRefusedError")):
        dag_id = seeding.dag(f"aimass_{name}")
        run_id = seeding.run(dag_id, f"run_{name}", state="failed")
        seeding.task(dag_id, run_id, task_id, state="failed")
        seeding.xcom(dag_id, run_id, task_id, {"error": error, "message": f"Because of {name}"}, key="failure")
    page = reader.get("/aimass/").text
    assert "failed at Validate" in page
    assert "was refused by the release" in page
    assert "Because of churn" in page
    assert "Because of fraud" in page
    assert 'href="/dags/aimass_churn/runs/run_churn/tasks/validate"' in page


def test_a_failure_that_a_later_run_mended_is_no_more_told(seeding: Seeding, reader: TestClient) -> None:
    dag_id = seeding.dag("aimass_churn")
    seeding.run(dag_id, state="failed", age_h=9)
    seeding.run(dag_id, age_h=1)
    assert "Needs you" not in reader.get("/aimass/").text


def test_broken_pipelines_and_files_that_cannot_be_imported_are_told(seeding: Seeding, reader: TestClient) -> None:
    seeding.dag("aimass_typo", tags=("aimass", "broken"), description="Broken: typo.yaml: unknown key 'taget'")
    seeding.import_error("aimass_train.py", "Traceback\nModuleNotFoundError: no such module")
    seeding.import_error("etl.py", "Traceback\nValueError: not ours")
    seeding.dag(THEIRS, relative_fileloc="aimass_theirs.py")
    seeding.import_error("aimass_theirs.py", "Traceback\nValueError: a secret of theirs")
    page = reader.get("/aimass/").text
    assert "unknown key &#39;taget&#39;" in page
    assert "ModuleNotFoundError: no such module" in page
    assert "not ours" not in page
    assert "a secret of theirs" not in page


def test_search_filter_and_sheets(seeding: Seeding, reader: TestClient) -> None:
    for number in range(55):
        seeding.dag(f"aimass_p{number:02}", owners="crm" if number == 7 else "risk")
    seeding.run("aimass_p03", state="failed")
    assert rows_of(reader.get("/aimass/?q=CRM").text) == ["aimass_p07"]
    assert rows_of(reader.get("/aimass/?show=failed").text) == ["aimass_p03"]
    first, second = (rows_of(reader.get(f"/aimass/?sheet={sheet}").text) for sheet in (1, 2))
    assert (len(first), len(second)) == (50, 5)
    assert first[0] == "aimass_p03"
    assert not set(first) & set(second)
    assert rows_of(reader.get("/aimass/?sheet=99").text) == second
    assert "No pipeline is like that" in reader.get("/aimass/?q=nothing").text


def test_everything_is_escaped(seeding: Seeding, reader: TestClient) -> None:
    dag_id = seeding.dag(f"aimass_{HOSTILE}", description=HOSTILE, owners=HOSTILE, timetable_summary=HOSTILE)
    run_id = seeding.run(dag_id, HOSTILE)
    hostile = {"best": HOSTILE, "candidates": [{"name": HOSTILE, "metrics": {HOSTILE: 0.5}}]}
    seeding.task(dag_id, run_id, "evaluate_best", result=hostile)
    seeding.task(dag_id, run_id, "release", result={**RELEASE, "name": HOSTILE, "alias": HOSTILE})
    failed = seeding.dag("aimass_failed")
    seeding.run(failed, state="failed")
    seeding.task(failed, "manual__00002", HOSTILE, state="failed")
    page = reader.get("/aimass/", params={"q": HOSTILE}).text
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x") > 5


@pytest.mark.parametrize(
    "result", [{"candidates": 3}, {"candidates": [None]}, {"best": "a", "candidates": [{"name": "a"}]}, [1]]
)
def test_a_result_that_another_version_wrote_is_left_out(seeding: Seeding, reader: TestClient, result: Any) -> None:
    dag_id = seeding.dag()
    seeding.task(dag_id, seeding.run(dag_id), "evaluate_best", result=result)
    assert reader.get("/aimass/").status_code == 200

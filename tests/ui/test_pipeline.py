"""The page of one pipeline, and the tabs on Airflow's own pages."""

from __future__ import annotations

from typing import Any

import pytest
from markupsafe import escape
from starlette.testclient import TestClient

from tests.ui.conftest import Client
from tests.ui.made import DAG_ID, MadeRun
from tests.ui.people import OWNER, THEIRS, USER, VIEWER
from tests.ui.seeding import Seeding
from tests.ui.test_overview import EVALUATION, HOSTILE, RELEASE

TABS = ("/aimass/tabs/dag/{dag}", "/aimass/tabs/run/{dag}/{run}", "/aimass/tabs/task/{dag}/{run}/split/-1")
PAGES = ("/aimass/pipelines/{dag}", *TABS)
TRAINED = {
    "best": "<b>good</b>",
    "candidates": [
        {"name": "poor", "family": "tree", "metrics": {"auc": 0.6, "log_loss": 0.7}},
        {"name": "<b>good</b>", "family": "tree", "metrics": {"auc": 0.7, "log_loss": 0.6}},
    ],
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_follows_the_readers_permission(seeding: Seeding, client: Client, nobody: TestClient, page: str) -> None:
    run_id = seeding.run(seeding.dag(THEIRS))
    address = page.format(dag=THEIRS, run=run_id)
    assert nobody.get(address).status_code == 401
    assert client(VIEWER).get(address).status_code == 403
    assert client(OWNER).get(address).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_a_real_run_is_shown_escaped_in_both_languages(stored: MadeRun, reader: TestClient, page: str) -> None:
    address = page.format(dag=DAG_ID, run="manual__made")
    for language in ("en", "zh"):
        answer = reader.get(address, params={"lang": language})
        assert answer.status_code == 200, answer.text
        assert "<img" not in answer.text.replace('<img src="/aimass/static', "")


def test_a_real_run_shows_its_counts_candidates_and_release(stored: MadeRun, reader: TestClient) -> None:
    page = reader.get(f"/aimass/pipelines/{DAG_ID}").text
    for text in ("400", "for training", "240", "logistic_regression", "decision_tree", "v1", "champion", "leads"):
        assert text in page
    assert f'/aimass/pipelines/{DAG_ID}/runs/manual__made/tasks/evaluate_best/report"' in page
    assert f'/aimass/pipelines/{DAG_ID}/runs/manual__made/tasks/ingest/dataset?map_index=0"' in page
    assert f'href="/dags/{DAG_ID}/runs/manual__made"' in page


def test_a_running_run_shows_progress_and_renews_itself(seeding: Seeding, reader: TestClient) -> None:
    dag_id = seeding.dag()
    run_id = seeding.run(dag_id, state="running")
    seeding.task(dag_id, run_id, "train", state="running", end_date=None, duration=None, try_number=2)
    seeding.progress(dag_id, run_id, "train", step="fit", done=2, total=4, text="fit: 2 of 4 models")
    answer = reader.get(f"/aimass/pipelines/{dag_id}")
    assert answer.headers["refresh"] == "5"
    assert "fit: 2 of 4 models" in answer.text
    assert 'value="0.500"' in answer.text
    assert "1 retry" in answer.text
    assert "refresh" not in reader.get(f"/aimass/pipelines/{dag_id}?follow=false").headers


def test_the_leader_stands_first_and_bold(seeding: Seeding, reader: TestClient) -> None:
    dag_id = seeding.dag()
    run_id = seeding.run(dag_id)
    best = {"name": "searched", "family": "tree", "metrics": {"auc": 0.65, "log_loss": 0.5}}
    seeding.task(dag_id, run_id, "train", result=TRAINED)
    seeding.task(dag_id, run_id, "optimize", result={"best": best, "advice": ["Try more trials"]})
    page = reader.get(f"/aimass/pipelines/{dag_id}").text
    rows = page.split('<table class="candidates">')[1].split("<tr")[2:]
    assert "&lt;b&gt;good" in rows[0]
    assert "leads" in rows[0]
    assert "searched" in rows[1]
    assert "poor" in rows[2]
    assert "Try more trials" in page


def test_quality_is_drawn_over_the_runs_with_releases(seeding: Seeding, reader: TestClient) -> None:
    dag_id = seeding.dag()
    for age in (3, 2, 1):
        run_id = seeding.run(dag_id, age_h=age)
        seeding.task(dag_id, run_id, "evaluate_best", result=EVALUATION)
        seeding.task(dag_id, run_id, "release", result=RELEASE)
    page = reader.get(f"/aimass/pipelines/{dag_id}").text
    assert "<svg" in page
    assert "v7" in page


def test_runs_of_a_form_are_told_by_their_models(seeding: Seeding, reader: TestClient) -> None:
    dag_id = seeding.dag("aimass_train_file")
    for name, auc in (("churn", 0.71), ("客户流失", 0.72)):
        run_id = seeding.run(dag_id, name, conf={"name": name, "target": "y"})
        seeding.task(
            dag_id,
            run_id,
            "evaluate_best",
            result={"best": "a", "candidates": [{"name": "a", "metrics": {"auc": auc}}]},
        )
    page = reader.get(f"/aimass/pipelines/{dag_id}?run=churn").text
    assert "客户流失" in page
    assert "&#34;target&#34;: &#34;y&#34;" in page
    assert "0.71" in page
    assert "0.72" not in page


def test_a_question_is_shown_with_who_may_answer(seeding: Seeding, client: Client) -> None:
    dag_id = seeding.dag()
    run_id = seeding.run(dag_id, state="running")
    seeding.question(seeding.task(dag_id, run_id, "approve", state="awaiting_input"), users=["ada"])
    page = client(USER).get(f"/aimass/pipelines/{dag_id}").text
    assert "It is for ada to answer." in page
    assert "required_actions" not in page


def test_a_failed_stage_says_why_and_leads_to_its_log(seeding: Seeding, reader: TestClient) -> None:
    dag_id = seeding.dag()
    run_id = seeding.run(dag_id, state="failed")
    seeding.task(dag_id, run_id, "validate", state="failed")
    seeding.xcom(
        dag_id, run_id, "validate", {"error": "DataError", "message": "3 <b>expectations</b> fail"}, key="failure"
    )
    page = reader.get(f"/aimass/pipelines/{dag_id}").text
    assert "3 &lt;b&gt;expectations&lt;/b&gt; fail" in page
    assert f'href="/dags/{dag_id}/runs/{run_id}/tasks/validate"' in page


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("result", [{"rows": "many"}, {"rows": {"train": None}}, {HOSTILE: HOSTILE}])
def test_a_result_of_another_shape_breaks_no_page(seeding: Seeding, reader: TestClient, page: str, result: Any) -> None:
    dag_id = seeding.dag()
    run_id = seeding.run(dag_id)
    tasks = (
        "ingest",
        "join",
        "split",
        "explore",
        "clean",
        "featurize",
        "train",
        "optimize",
        "evaluate_best",
        "approve",
    )
    for task_id in (*tasks, "release", "validate", "a_task_of_ours"):
        seeding.task(dag_id, run_id, task_id, result=result)
    assert reader.get(page.format(dag=dag_id, run=run_id)).status_code == 200


def test_what_is_not_there_is_404(seeding: Seeding, reader: TestClient) -> None:
    dag_id = seeding.dag()
    assert "It has not run yet" in reader.get(f"/aimass/pipelines/{dag_id}").text
    assert reader.get(f"/aimass/pipelines/{dag_id}?run=none").status_code == 404
    assert reader.get("/aimass/pipelines/aimass_none").status_code == 404
    assert reader.get(f"/aimass/tabs/run/{dag_id}/none").status_code == 404


def test_tabs_say_in_one_sentence_that_a_dag_is_not_ours(seeding: Seeding, reader: TestClient) -> None:
    run_id = seeding.run(seeding.dag("etl", tags=()))
    seeding.task("etl", run_id, "split", result={"rows": 3})
    for tab in TABS:
        assert "AI Mass did not make this DAG" in reader.get(tab.format(dag="etl", run=run_id)).text


def test_the_tab_of_a_task_takes_airflows_unfilled_map_index(stored: MadeRun, reader: TestClient) -> None:
    page = reader.get(f"/aimass/tabs/task/{DAG_ID}/manual__made/split/{{MAP_INDEX}}").text
    assert "240" in page
    assert f'/aimass/pipelines/{DAG_ID}/runs/manual__made/tasks/split/dataset"' in page
    mapped = reader.get(f"/aimass/tabs/task/{DAG_ID}/manual__made/ingest/0").text
    assert "dataset?map_index=0" in mapped


def test_warnings_are_said_in_the_readers_language(stored: MadeRun, reader: TestClient) -> None:
    warnings = stored.results["evaluate_best", -1]["warnings"]
    assert warnings, "the small test part is worth a warning"
    address = "/aimass/pipelines/aimass_customers"
    assert str(escape(warnings[0])) in reader.get(address, headers={"accept-language": "en"}).text
    chinese = reader.get(address, headers={"accept-language": "zh"}).text
    assert str(escape(warnings[0])) not in chinese
    assert "测试集" in chinese

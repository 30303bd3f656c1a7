from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, DownstreamTasksSkipped, TaskAwaitingInput

from aimass.core.deps import Deps, Runtime
from aimass.core.release.ledger import Ledger
from aimass.operators.approve import ApproveOperator
from aimass.operators.release import ReleaseOperator
from tests.releasing import make_release, run

MODELS = [{"type": "lightgbm", "n_estimators": 5}]


class Instance:
    """A task instance that keeps what is pushed."""

    id = "0190"
    map_index = -1

    def __init__(self, **results: Any) -> None:
        self.results = results

    def xcom_pull(self, *, task_ids: str) -> Any:
        return self.results.get(task_ids)

    def xcom_push(self, key: str, value: Any) -> None:
        self.results[key] = value


@pytest.fixture(scope="module")
def deps(tmp_path_factory: pytest.TempPathFactory) -> Deps:
    runtime = Runtime(store=str(tmp_path_factory.mktemp("store")), project="shop", tracking_uri="memory://x")
    return Deps.from_runtime(runtime)


@pytest.fixture(scope="module")
def config(deps: Deps) -> dict[str, Any]:
    return make_release(deps, MODELS)


@pytest.fixture
def asked(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Airflow would show, since no Airflow runs here."""
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", deps.runtime.store)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow:8080")
    found: list[dict[str, Any]] = []
    monkeypatch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **all: found.append(all))
    return found


def task(config: dict[str, Any], **arguments: Any) -> ApproveOperator:
    with DAG("aimass_shop", schedule=None, params={"approval": True}):
        return ApproveOperator(task_id="approve", config=config, project="shop", **arguments)


def context(operator: Any, instance: Instance | None = None, conf: dict[str, Any] | None = None) -> Any:
    run = SimpleNamespace(dag_id="aimass_shop", run_id="manual__1+2", conf=conf or {}, triggering_user_name="ada")
    instance = instance or Instance()
    dag = SimpleNamespace(task_ids=["evaluate_best", "approve"])
    return {"dag_run": run, "ti": instance, "task_instance": instance, "dag": dag, "task": operator}


def answer(option: str, **others: Any) -> dict[str, Any]:
    event = {"chosen_options": [option], "params_input": {}, "responded_at": datetime.now(UTC), "timedout": False}
    return {**event, "responded_by_user": {"id": "7", "name": "grace"}, **others}


def test_the_question_shows_both_models_and_leads_to_the_report(
    config: dict[str, Any], asked: list[dict[str, Any]]
) -> None:
    operator = task(config, assigned_users=["ada", {"id": "7", "name": "grace"}], timeout_hours=2)
    with pytest.raises(TaskAwaitingInput) as waiting:
        operator.execute(context(operator))
    assert waiting.value.timeout is not None
    assert waiting.value.timeout.total_seconds() == 7200
    (shown,) = asked
    assert shown["options"] == ["Approve", "Reject"]
    assert shown["defaults"] == ["Reject"]
    assert shown["assigned_users"] == [{"id": "ada", "name": "ada"}, {"id": "7", "name": "grace"}]
    assert shown["subject"].startswith("Release late as champion? auc 0.")
    assert "The gate would let this model through" in shown["body"]
    assert "/aimass/pipelines/aimass_shop/runs/manual__1%2B2/tasks/evaluate_best/report" in shown["body"]
    assert set(shown["params"]) == {"note"}


def test_a_conf_changes_what_is_asked(config: dict[str, Any], asked: list[dict[str, Any]]) -> None:
    operator = task(config, conf_keys={"release": ""})
    with pytest.raises(TaskAwaitingInput):
        operator.execute(context(operator, conf={"release": {"gate": {"min": 0.9999}}}))
    assert "would refuse" in asked[0]["body"]


@pytest.mark.parametrize("when", [False, "False", "", "no", "None"])
def test_nobody_is_asked_where_nobody_wants_it(when: bool | str, asked: list[dict[str, Any]]) -> None:
    result = task({}, when=when).execute({})
    assert (result["approved"], result["asked"]) == (True, False)
    assert not asked


def test_nobody_is_asked_where_nothing_would_change(
    config: dict[str, Any], deps: Deps, asked: list[dict[str, Any]]
) -> None:
    own = {**config, "name": "standing"}
    run(deps, "release", **own)
    operator = task(own)
    result = operator.execute(context(operator))
    assert (result["approved"], result["asked"]) == (True, False)
    assert "version 1 stands" in result["reason"]
    assert not asked


def test_the_answer_says_who_and_why(config: dict[str, Any]) -> None:
    operator = task(config)
    event = answer("Approve", params_input={"note": " better on\nwinter "})
    result = operator.execute_complete(context(operator), event)
    assert result == {
        "approved": True,
        "asked": True,
        "who": "grace",
        "note": "better on winter",
        "reason": "approved by grace: better on winter",
    }


def test_a_rejection_skips_the_release() -> None:
    with DAG("aimass_shop", schedule=None):
        operator = ApproveOperator(task_id="approve")
        operator >> ReleaseOperator(task_id="release", approval_task_id="approve")
    for reason, event in {
        "rejected by grace": answer("Reject"),
        "rejected: nobody answered in time": answer("Reject", responded_by_user=None, timedout=True),
    }.items():
        instance = Instance()
        with pytest.raises(DownstreamTasksSkipped) as skipping:
            operator.execute_complete(context(operator, instance), event)
        assert skipping.value.tasks == ["release"]
        assert (instance.results["return_value"]["approved"], instance.results["return_value"]["reason"]) == (
            False,
            reason,
        )


def test_silence_fails_without_a_retry_where_the_pipeline_says_so(config: dict[str, Any]) -> None:
    operator = task(config, on_timeout="fail", timeout_hours=0.5)
    assert operator.defaults is None
    instance = Instance()
    with pytest.raises(AirflowFailException, match=r"within 0\.5 hours"):
        operator.execute_complete(context(operator, instance), {"error": "late", "error_type": "timeout"})
    assert "Nobody answered" in instance.results["failure"]["message"]


def test_an_approval_goes_into_the_ledger(
    config: dict[str, Any], deps: Deps, asked: list[dict[str, Any]], tmp_path: Path
) -> None:
    with DAG("aimass_shop", schedule=None):
        own = {**config, "name": "approved", "reason": "nightly"}
        operator = ReleaseOperator(task_id="release", config=own, project="shop", approval_task_id="approve")
    yes = {"approved": True, "asked": True, "reason": "approved by grace: good"}
    there = context(operator, Instance(approve=yes)) | {"outlet_events": {}}
    assert operator.stage_config(there)["reason"] == "nightly; approved by grace: good"
    config_of_run = {**operator.stage_config(there)}
    run(deps, "release", **config_of_run)
    assert Ledger(deps, "approved").entries()[-1].why == "nightly; approved by grace: good"


@pytest.mark.parametrize("said", [None, {"approved": False, "asked": True, "reason": "rejected"}])
def test_without_a_yes_nothing_is_released(config: dict[str, Any], said: Any) -> None:
    operator = ReleaseOperator(task_id="release", config=config, approval_task_id="approve")
    with pytest.raises(AirflowFailException, match="has approved nothing"):
        operator.execute(context(operator, Instance(approve=said)))


def test_the_reports_that_are_named_are_those_of_the_dag() -> None:
    operator = task({})
    assert set(operator._links(context(operator))) == {"the challenger on the test part"}

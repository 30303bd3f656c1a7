from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aimass.core.release.comparison import MetricChange
from aimass.core.release.retirement import ServerUse, Usage
from aimass.notifications.base import Kind, Notice
from aimass.notifications.facts import AirflowRun, notice_of

GATE = {"error": "GateRefusedError", "message": "late is not released", "report": "file:///r.html"}
DAG = SimpleNamespace(dag_id="aimass_late", task_ids=["evaluate_best", "approve", "release", "work_1"])


class Answers:
    """What Airflow would answer."""

    def __init__(self, failed: list[tuple[str, int | None]] | None = None, **values: Any) -> None:
        self._failed = failed or []
        self._values = values

    def failed(self) -> list[tuple[str, int | None]]:
        return self._failed

    def value(self, task_id: str, key: str = "return_value", map_index: int | None = None) -> Any:
        return self._values.get(task_id if key == "return_value" else f"{task_id}_{key}")


def of_dag(kind: Kind, run: Answers, **others: Any) -> Notice:
    return notice_of({"dag": DAG, "run_id": "m 1", "reason": "task_failure", **others}, kind, run)


@pytest.fixture(autouse=True)
def address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow:8080")


def told(notice: Notice) -> list[str]:
    return [line.message.format(**line.values) for line in notice.lines]


def test_a_release_tells_its_version_its_metrics_and_who_approved_it() -> None:
    released = {"name": "late", "version": "3", "alias": "champion", "metrics": {"auc": 0.71234}, "reused": False}
    approved = {"approved": True, "asked": True, "reason": "approved by grace"}
    notice = of_dag("success", Answers(release=released, approve=approved))
    assert told(notice) == ["late version 3 stands under champion now", "Approval: approved by grace", "auc: 0.7123"]
    assert notice.run_url == "http://airflow:8080/dags/aimass_late/runs/m%201"
    assert notice.report_url.startswith("http://airflow:8080/aimass/pipelines/aimass_late/runs/m%201/tasks/release")
    assert notice.pipeline == "late"
    again = of_dag("success", Answers(release={**released, "reused": True}))
    assert told(again)[0].endswith("as before")


def test_a_rejection_is_told_with_its_reason() -> None:
    notice = of_dag("success", Answers(approve={"approved": False, "asked": True, "reason": "rejected by grace: no"}))
    assert told(notice) == ["Nothing was released.", "Approval: rejected by grace: no"]


BACK = {
    "alias": "champion", "model": "late", "left": "3", "target": "2", "serving": ["one", "two"],
    "why": "bad: auc_high is 0.4, below 0.5 in 3 of 4 windows", "report": "file:///evidence.html",
}  # fmt: skip


def test_a_rollback_tells_what_went_back_why_and_which_servers_follow() -> None:
    notice = of_dag("success", Answers(evidence=BACK))
    assert told(notice) == [
        "champion of late went back from version 3 to version 2",
        "Why: bad: auc_high is 0.4, below 0.5 in 3 of 4 windows",
        "Servers that answer with it: one, two",
    ]
    assert "/tasks/evidence/report" in notice.report_url
    assert told(of_dag("success", Answers(evidence={**BACK, "serving": []})))[2].endswith(": –")


@pytest.mark.parametrize(
    ("task", "result", "said"),
    [
        ("promote", {"alias": "champion", "model": "late", "version": "4"}, "champion of late is version 4 now"),
        ("compare", {"promote": False, "why": "auc is worse"}, "Nothing was promoted: auc is worse"),
        ("deprecate", {"deprecate": {"model": "late", "version": "1"}}, "Version 1 of late is out of use"),
    ],
)
def test_what_else_was_done_to_a_model_in_use_is_one_line(task: str, result: dict[str, Any], said: str) -> None:
    assert told(of_dag("success", Answers(**{task: result}))) == [said]


def test_a_run_without_a_release_is_told_as_it_is() -> None:
    assert of_dag("success", Answers()).lines == []


def test_a_retirement_tells_who_used_the_version() -> None:
    used = Usage(
        model="late", version="3", state="active", aliases=["champion"], traffic={}, logged_rows=40,
        servers={"one": ServerUse(error="it is down")},
    )  # fmt: skip
    notice = of_dag("success", Answers(deprecate={"deprecate": used.model_dump(mode="json")}))
    assert told(notice) == [
        "Version 3 of late is out of use",
        "nobody is known to have asked for version 3 of late",
        "alias champion",
        "one does not say: it is down",
        "40 rows in the prediction log of the last seven days",
    ]
    assert told(of_dag("success", Answers(deprecate={"model": "late", "version": "3"}))) == [
        "Version 3 of late is out of use"
    ]


def test_a_refusal_of_the_gate_is_no_failure() -> None:
    notice = of_dag("failure", Answers([("release", None)], release_failure=GATE))
    assert (notice.kind, notice.tasks, notice.message) == ("refusal", ["release"], "late is not released")
    assert "/tasks/release/report" in notice.report_url


def test_a_failure_names_every_task_and_says_one_reason_once() -> None:
    document = {"error": "DataError", "message": "bad", "report": ""}
    failed = [("work_1", 0), ("work_1", 1), ("release", None)]
    notice = of_dag("failure", Answers(failed, work_1_failure=document, release_failure=GATE))
    assert (notice.kind, notice.tasks, notice.error) == ("failure", ["work_1", "release"], "DataError")
    assert notice.message == "bad\nlate is not released"


def test_a_killed_task_has_told_nothing() -> None:
    notice = of_dag("failure", Answers([("work_1", 3)]))
    assert (notice.kind, notice.tasks, notice.message) == ("failure", ["work_1"], "")


def test_a_run_that_took_too_long_says_so() -> None:
    assert of_dag("failure", Answers(), reason="timed_out").message == "timed out"


def test_a_tasks_own_callback_speaks_for_the_task() -> None:
    run = SimpleNamespace(dag_id="other", run_id="r")
    ti = SimpleNamespace(task_id="mine", map_index=-1)
    context = {"dag": DAG, "dag_run": run, "ti": ti, "exception": ValueError("no luck")}
    notice = notice_of(context, "failure", Answers([("another", None)]))
    assert (notice.dag_id, notice.pipeline, notice.tasks) == ("other", "other", ["mine"])
    assert (notice.error, notice.message) == ("ValueError", "no luck")


def test_a_deadline_knows_the_run_alone() -> None:
    context = {"dag_run": {"dag_id": "aimass_late", "dag_run_id": "r"}, "deadline": {"id": "1"}}
    notice = notice_of(context, "failure", Answers())
    assert (notice.dag_id, notice.run_id, notice.message) == ("aimass_late", "r", "deadline")


def test_a_question_shows_both_models_and_where_it_is_answered() -> None:
    rows = [
        MetricChange(name="auc", challenger=0.8, champion=0.7, greater_is_better=True),
        MetricChange(name="f1", challenger=0.5, champion=None, greater_is_better=True),
    ]
    comparison = SimpleNamespace(name="late", alias="champion", passes=False, metrics=rows)
    notice = of_dag("approval", Answers(), task=SimpleNamespace(task_id="approve", comparison_=comparison))
    first = "late would stand under champion, but the gate would refuse it"
    assert told(notice) == [first, "auc: 0.8 against 0.7", "f1: 0.5"]
    assert of_dag("approval", Answers(), task=SimpleNamespace(task_id="ask", subject="Sure?")).message == "Sure?"
    assert notice.approval_url == "http://airflow:8080/dags/aimass_late/runs/m%201/tasks/approve/required_actions"
    assert "/tasks/evaluate_best/report" in notice.report_url


def test_mapped_tasks_are_told_from_tasks_that_end_in_a_number() -> None:
    run = AirflowRun("d", "r", ["work_1", "plan"])
    states = {"work_1": "failed", "work_1_0": "failed", "plan_12": "failed", "plan_x": "failed", "plan": "success"}
    assert list(run._of(states)) == [("work_1", None), ("work_1", 0), ("plan", 12), ("plan_x", None)]
    assert run.failed() == []
    assert run.value("work_1") is None

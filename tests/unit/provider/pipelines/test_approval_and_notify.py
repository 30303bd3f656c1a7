from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from aimass.operators.approve import ApproveOperator
from aimass.operators.release import ReleaseOperator
from aimass.pipelines import pipeline_dags

Write = Callable[..., Path]
NOTIFY = "notify: [{type: smtp, to: [a@example.org], on: [failure, approval]}, {type: apprise, tag: team}]\n"


@pytest.fixture(autouse=True)
def seals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIMASS__CHECK_CACHE", str(tmp_path / "seals"))


def dag_of(path: Path) -> DAG:
    (dag,) = pipeline_dags(__file__, path.parent).values()
    return dag


@pytest.mark.parametrize("words", ["true", "", "{}"])
def test_an_approval_stands_before_the_release(write: Write, good: str, words: str) -> None:
    dag = dag_of(write(f"{good}approval: {words}\n"))
    asked, release = dag.get_task("approve"), dag.get_task("release")
    assert isinstance(asked, ApproveOperator)
    assert isinstance(release, ReleaseOperator)
    assert asked.upstream_task_ids >= {"evaluate_best"}
    assert asked.downstream_task_ids == {"release"}
    assert release.approval_task_id == "approve"
    assert (asked.response_timeout, asked.defaults, asked.assigned_users) == (timedelta(hours=72), ["Reject"], None)
    assert asked.conf_keys == release.conf_keys
    assert asked.config == release.config
    assert asked.outlets == []
    assert set(DagSerialization.from_dict(DagSerialization.to_dict(dag)).task_dict) == set(dag.task_dict)


def test_an_approval_has_settings(write: Write, good: str) -> None:
    words = "approval: {assigned_users: [grace], timeout_hours: null, on_timeout: fail}\n"
    asked = dag_of(write(good + words)).get_task("approve")
    assert asked.assigned_users == [{"id": "grace", "name": "grace"}]
    assert (asked.response_timeout, asked.defaults) == (None, None)


@pytest.mark.parametrize("words", ["approval: false\n", ""])
def test_nobody_is_asked_unless_somebody_says_so(write: Write, good: str, words: str) -> None:
    assert "approve" not in dag_of(write(good + words)).task_ids


def test_people_are_told_by_the_dag_and_by_the_question(write: Write, good: str) -> None:
    dag = dag_of(write(f"{good}approval: true\n{NOTIFY}"))
    called = [dag.on_success_callback, dag.on_failure_callback, dag.get_task("approve").notifiers]
    found: list[Any] = [notifier for each in called for notifier in each]  # type: ignore[union-attr]
    assert [notifier.kind for notifier in found] == ["success", "failure", "approval"]
    assert all(notifier.channels[1] == {"type": "apprise", "tag": "team"} for notifier in found)


def test_nobody_is_told_unless_somebody_says_so(write: Write, good: str) -> None:
    dag = dag_of(write(good))
    assert (dag.on_success_callback, dag.on_failure_callback) == (None, None)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("approval: {assigned_user: [a]}", "'assigned_users'"),
        ("approval: {on_timeout: ignore}", "approval.on_timeout"),
        ("approval: maybe", "approval"),
        ("notify: [{type: smpt, to: [a@b]}]", "'smtp'"),
        ("notify: [{type: smtp, too: [a@b]}]", "notify.0.too"),
        ("notify: [{type: smtp, to: [a@b]}, {type: apprise, repeat_hours: soon}]", "notify.1.repeat_hours"),
        ("notify: {type: smtp}", "notify"),
    ],
)
def test_a_mistake_is_told_where_it_stands(write: Write, good: str, line: str, told: str) -> None:
    dag = dag_of(write(f"{good}{line}\n"))
    assert "broken" in dag.tags
    assert told in (dag.doc_md or "").replace("\\", "")


def test_an_approval_of_nothing_is_a_mistake(write: Write, good: str) -> None:
    dag = dag_of(write(good.replace("release:\n", "") + "approval: true\n"))
    assert "nothing to approve" in (dag.doc_md or "")

"""One pipeline: its runs, and the tasks of one of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from airflow.models.dag import DagModel, DagTag
from airflow.models.dagrun import DagRun
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import select
from sqlalchemy.orm import Session

from aimass.core.errors import NotFoundError
from aimass.operators.failures import FAILURE_KEY
from aimass.operators.progress import STATE_KEY
from aimass.ui.queries.pipelines import ACTIVE, TAG, display_name, plain
from aimass.ui.queries.results import TaskKey, results_of_run

KEPT_RUNS = 30


class PipelineHead(NamedTuple):
    """What a pipeline is; `ours` says whether AI Mass made the DAG."""

    dag_id: str
    name: str
    description: str
    owner: str
    schedule: str
    paused: bool
    ours: bool


class PipelineRun(NamedTuple):
    """One run of it; `conf` is what it was asked for."""

    run_id: str
    state: str
    triggered_at: datetime
    since: datetime | None
    until: datetime | None
    conf: dict[str, Any]
    run_type: str
    user: str
    number: int

    @property
    def model(self) -> str:
        """Name of the model that was asked for, where each run of the DAG makes another one."""
        name = self.conf.get("name")
        return name if isinstance(name, str) else ""

    @property
    def is_active(self) -> bool:
        """Whether it still runs, or waits to."""
        return self.state in ACTIVE

    @property
    def duration_s(self) -> float | None:
        """How long it took; None while it runs."""
        return (self.until - self.since).total_seconds() if self.since and self.until else None


class Record(NamedTuple):
    """What the tasks of a run have left, each by task id and map index."""

    results: Mapping[TaskKey, dict[str, Any]]
    progress: Mapping[TaskKey, dict[str, Any]]
    failures: Mapping[TaskKey, dict[str, Any]]


class TaskRow(NamedTuple):
    """One task of a run."""

    task_id: str
    map_index: int
    label: str
    state: str
    since: datetime | None
    until: datetime | None
    duration_s: float | None
    tries: int


def pipeline_head(session: Session, dag_id: str) -> PipelineHead:
    """Return what the pipeline is.

    Raises
    ------
    NotFoundError
        There is no such DAG.
    """
    wanted = select(  # type: ignore[call-overload] # Airflow does not type its hybrid properties
        DagModel.dag_display_name, DagModel.description, DagModel.owners, DagModel.timetable_summary, DagModel.is_paused
    ).where(DagModel.dag_id == dag_id)
    row = session.execute(wanted).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no DAG {dag_id!r}")
    shown, description, owners, schedule, is_paused = row
    is_tagged = select(DagTag.name).where(DagTag.dag_id == dag_id, DagTag.name == TAG)
    return PipelineHead(
        dag_id, display_name(dag_id, shown), plain(description), owners or "",
        "" if schedule in (None, "None") else schedule, is_paused, session.scalar(is_tagged) is not None,
    )  # fmt: skip


def last_runs(session: Session, dag_id: str, limit: int = KEPT_RUNS) -> list[PipelineRun]:
    """Return the last runs, the newest first."""
    wanted = _runs(dag_id).order_by(DagRun.run_after.desc(), DagRun.id.desc()).limit(limit)
    return [_run(row) for row in session.execute(wanted)]


def run_of(session: Session, dag_id: str, run_id: str) -> PipelineRun:
    """Return one run.

    Raises
    ------
    NotFoundError
        There is no such run.
    """
    row = session.execute(_runs(dag_id).where(DagRun.run_id == run_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"The DAG {dag_id!r} has no run {run_id!r}")
    return _run(row)


def tasks_of(session: Session, dag_id: str, run_id: str) -> list[TaskRow]:
    """Return the tasks of a run, mapped ones in the order of their index."""
    wanted = (
        select(  # type: ignore[call-overload] # Airflow does not type its hybrid properties
            TaskInstance.task_id, TaskInstance.map_index, TaskInstance.rendered_map_index, TaskInstance.state,
            TaskInstance.start_date, TaskInstance.end_date, TaskInstance.duration, TaskInstance.try_number,
        )
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        .where(TaskInstance.state.is_distinct_from("removed"))
        .order_by(TaskInstance.start_date, TaskInstance.task_id, TaskInstance.map_index)
    )  # fmt: skip
    return [
        TaskRow(task_id, map_index, label or "", str(state or ""), since, until, duration, tries)
        for task_id, map_index, label, state, since, until, duration, tries in session.execute(wanted)
    ]


def record_of(session: Session, dag_id: str, run: PipelineRun, results: Mapping[TaskKey, dict[str, Any]]) -> Record:
    """Return what the tasks of a run have left: the `results` at hand, failures, and how far those came that run."""
    failures = results_of_run(session, dag_id, run.run_id, key=FAILURE_KEY)
    return Record(results, _progress_of(session, run) if run.is_active else {}, failures)


def _progress_of(session: Session, run: PipelineRun) -> dict[TaskKey, dict[str, Any]]:
    columns = (TaskStateStoreModel.task_id, TaskStateStoreModel.map_index, TaskStateStoreModel.value)
    wanted = select(*columns).where(TaskStateStoreModel.dag_run_id == run.number, TaskStateStoreModel.key == STATE_KEY)
    told = {TaskKey(task_id, map_index): json.loads(value) for task_id, map_index, value in session.execute(wanted)}
    return {key: event for key, event in told.items() if isinstance(event, dict)}


def _runs(dag_id: str) -> Any:
    return select(
        DagRun.run_id, DagRun.state, DagRun.run_after, DagRun.start_date, DagRun.end_date, DagRun.conf,
        DagRun.run_type, DagRun.triggering_user_name, DagRun.id,
    ).where(DagRun.dag_id == dag_id)  # fmt: skip


def _run(row: Iterable[Any]) -> PipelineRun:
    run_id, state, triggered_at, since, until, conf, run_type, user, number = row
    given = conf if isinstance(conf, dict) else {}
    return PipelineRun(run_id, str(state), triggered_at, since, until, given, str(run_type), user or "", number)

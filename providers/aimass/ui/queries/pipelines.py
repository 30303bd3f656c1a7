"""Pipelines as the overview lists them: a few queries for all of them, however many there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from airflow.models.dag import DagModel, DagTag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from aimass.core.errors import GateRefusedError
from aimass.operators.failures import FAILURE_KEY
from aimass.pipelines.broken import BROKEN_TAG
from aimass.pipelines.model import DAG_PREFIX, MONITOR_PREFIX
from aimass.ui.queries.results import RESULT, as_mapping

TAG = "aimass"
ACTIONS = {f"{DAG_PREFIX}{name}" for name in ("rollback", "retire", "batch_predict", "improve")}
"""DAGs that act on models in use, whatever pipeline made them."""
SHOWN_RUNS = 15
HEALTH_RUNS = 10
ACTIVE = ("queued", "running")
_RUN_COLUMNS: tuple[Any, ...] = (
    DagRun.id, DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_after, DagRun.start_date, DagRun.end_date
)  # fmt: skip


class RunRow(NamedTuple):
    """One run.

    Attributes
    ----------
    number : int
        Its key in Airflow's database.
    since, until : datetime or None
        When it began and ended.
    """

    number: int
    dag_id: str
    run_id: str
    state: str
    triggered_at: datetime
    since: datetime | None
    until: datetime | None

    @property
    def duration_s(self) -> float | None:
        """How long it took; None while it runs."""
        return (self.until - self.since).total_seconds() if self.since and self.until else None


class Failure(NamedTuple):
    """Why a run failed; `message` is empty where the task could not tell."""

    task_id: str
    message: str
    is_refusal: bool

    @classmethod
    def of(cls, task_id: str, document: Any) -> Failure:
        """Return the failure of a task that left `document` (see `aimass.operators.failures`), or None."""
        told = as_mapping(document) if document else {}
        return cls(task_id, str(told.get("message", "")), told.get("error") == GateRefusedError.__name__)


class Released(NamedTuple):
    """A released version; `alias` is empty where it does not stand under one."""

    name: str
    version: str
    alias: str


@dataclass
class PipelineRow:
    """One pipeline with its last runs, the newest one last; `waits` says whether one of them waits for an answer."""

    dag_id: str
    name: str
    description: str
    owner: str
    schedule: str
    paused: bool
    broken: bool
    waits: bool = False
    runs: list[RunRow] = field(default_factory=list)
    evaluation: dict[str, Any] = field(default_factory=dict)
    release: dict[str, Any] = field(default_factory=dict)

    @property
    def makes_models(self) -> bool:
        """Whether it is a pipeline, and not a DAG that watches models in use or acts on them."""
        return self.dag_id not in ACTIONS and not self.dag_id.startswith(MONITOR_PREFIX)

    @property
    def last(self) -> RunRow | None:
        """The newest run."""
        return self.runs[-1] if self.runs else None

    @property
    def health(self) -> tuple[int, int]:
        """How many of the last `HEALTH_RUNS` runs that ended succeeded, and how many ended."""
        ended = [run.state for run in self.runs if run.state not in ACTIVE][-HEALTH_RUNS:]
        return ended.count("success"), len(ended)

    @property
    def standing(self) -> str:
        """The pipeline's state in a word: broken, failed, active, success or new."""
        if self.broken:
            return "broken"
        if self.last is None:
            return "new"
        return "active" if self.last.state in ACTIVE else self.last.state

    @property
    def metric(self) -> tuple[str, float] | None:
        """The first metric of the best model, on the test part."""
        return leading_metric(self.evaluation)

    @property
    def released(self) -> Released | None:
        """The version that the last successful run released, if it did."""
        name, version, alias = (self.release.get(key) for key in ("name", "version", "alias"))
        if not name or not version:
            return None
        return Released(str(name), str(version), str(alias or "") if self.release.get("standing") else "")


def pipelines(session: Session, readable: set[str]) -> list[PipelineRow]:
    """Return the pipelines among the DAGs `readable`, each with its newest run, the one with the newest run first."""
    rows = {row.dag_id: row for row in _described(session) if row.dag_id in readable}
    for run in _newest_runs(session, list(rows)):
        rows[run.dag_id].runs = [run]
    named = sorted(rows.values(), key=lambda row: row.name)
    return sorted(named, key=lambda row: row.last.triggered_at.timestamp() if row.last else 0, reverse=True)


def add_history(session: Session, rows: Iterable[PipelineRow]) -> None:
    """Fill in the last runs, and what the last successful one measured and released."""
    by_dag = {row.dag_id: row for row in rows}
    by_run: dict[int, PipelineRow] = {}
    histories: dict[str, list[RunRow]] = {dag_id: [] for dag_id in by_dag}
    for run, is_last_success in _last_runs(session, list(by_dag)):
        histories[run.dag_id].append(run)
        if is_last_success:
            by_run[run.number] = by_dag[run.dag_id]
    for dag_id, runs in histories.items():
        by_dag[dag_id].runs = sorted(runs, key=lambda run: (run.triggered_at, run.number))[-SHOWN_RUNS:]
    _add_results(session, by_run)


def failures(session: Session, runs: Iterable[RunRow]) -> dict[int, Failure]:
    """Return what failed first in each of `runs`, by the run's number."""
    numbers = [run.number for run in runs]
    same_run = and_(TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id)
    told = and_(
        XComModel.dag_run_id == DagRun.id,
        XComModel.task_id == TaskInstance.task_id,
        XComModel.map_index == TaskInstance.map_index,
        XComModel.key == FAILURE_KEY,
    )
    wanted = (
        select(DagRun.id, TaskInstance.task_id, XComModel.value)
        .join(TaskInstance, same_run)
        .outerjoin(XComModel, told)
        .where(DagRun.id.in_(numbers), TaskInstance.state == "failed")
        .order_by(TaskInstance.end_date.desc())
    )
    return {number: Failure.of(task_id, document) for number, task_id, document in session.execute(wanted)}


def leading_metric(evaluation: dict[str, Any]) -> tuple[str, float] | None:
    """Return the first metric of an evaluation's best candidate, with its name."""
    try:
        best = next(one for one in evaluation["candidates"] if one["name"] == evaluation["best"])
        name, value = next(iter(best["metrics"].items()))
        return str(name), float(value)
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
        return None  # no evaluation, or one that another version wrote


def plain(description: str | None) -> str:
    """Return the first line of a Markdown description without its emphasis."""
    return (description or "").strip().partition("\n")[0].replace("**", "").replace("`", "")


def display_name(dag_id: str, given: str | None = None) -> str:
    """Return what people call a pipeline."""
    return given if given and given != dag_id else dag_id.removeprefix(DAG_PREFIX)


def _described(session: Session) -> Iterable[PipelineRow]:
    broken = select(DagTag.dag_id).where(DagTag.name == BROKEN_TAG)
    wanted = (
        select(  # type: ignore[call-overload] # Airflow does not type its hybrid properties
            DagModel.dag_id, DagModel.dag_display_name, DagModel.description, DagModel.owners,
            DagModel.timetable_summary, DagModel.is_paused, DagModel.dag_id.in_(broken),
        )
        .join(DagTag, DagTag.dag_id == DagModel.dag_id)
        .where(DagTag.name == TAG, DagModel.is_stale.is_(False))
    )  # fmt: skip
    for dag_id, shown, description, owners, schedule, is_paused, is_broken in session.execute(wanted):
        yield PipelineRow(
            dag_id, display_name(dag_id, shown), plain(description), owners or "",
            "" if schedule in (None, "None") else schedule, is_paused, is_broken,
        )  # fmt: skip


def _add_results(session: Session, by_run: dict[int, PipelineRow]) -> None:
    wanted = select(XComModel.dag_run_id, XComModel.task_id, XComModel.value).where(
        XComModel.dag_run_id.in_(by_run),
        XComModel.task_id.in_(("evaluate_best", "release")),
        XComModel.map_index == -1,
        XComModel.key == RESULT,
    )
    for number, task_id, value in session.execute(wanted):
        if task_id == "release":
            by_run[number].release = as_mapping(value)
        else:
            by_run[number].evaluation = as_mapping(value)


def _newest_runs(session: Session, dag_ids: list[str]) -> Iterable[RunRow]:
    """Yield the newest run of each DAG."""
    newest = (
        select(DagRun.dag_id, func.max(DagRun.run_after).label("run_after"))
        .where(DagRun.dag_id.in_(dag_ids))
        .group_by(DagRun.dag_id)
        .subquery()
    )
    is_newest = and_(DagRun.dag_id == newest.c.dag_id, DagRun.run_after == newest.c.run_after)
    # Of two at the same moment, the later one is written last.
    for columns in session.execute(select(*_RUN_COLUMNS).join(newest, is_newest).order_by(DagRun.id)):
        yield RunRow(*columns)


def _last_runs(session: Session, dag_ids: list[str]) -> Iterable[tuple[RunRow, bool]]:
    """Yield the last runs of each DAG and its last successful one, however long ago, in no order."""
    newest = (DagRun.run_after.desc(), DagRun.id.desc())
    ranked = (
        select(
            *_RUN_COLUMNS,
            func.row_number().over(partition_by=DagRun.dag_id, order_by=newest).label("place"),
            func.row_number().over(partition_by=(DagRun.dag_id, DagRun.state), order_by=newest).label("place_in_state"),
        )
        .where(DagRun.dag_id.in_(dag_ids))
        .subquery()
    )
    is_last_success = and_(ranked.c.state == "success", ranked.c.place_in_state == 1)
    wanted = select(ranked).where(or_(ranked.c.place <= SHOWN_RUNS, is_last_success))
    for *columns, _, place_in_state in session.execute(wanted):
        run = RunRow(*columns)
        yield run, run.state == "success" and place_in_state == 1

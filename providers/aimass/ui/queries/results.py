"""Tasks' results: what stages returned, as Airflow keeps it (XCom)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from airflow.models.xcom import XComModel
from sqlalchemy import select
from sqlalchemy.orm import Session

RESULT = "return_value"


class TaskKey(NamedTuple):
    """One task of one run; `map_index` is -1 where the task is not mapped."""

    task_id: str
    map_index: int = -1


def result_of(session: Session, dag_id: str, run_id: str, task: TaskKey, *, key: str = RESULT) -> dict[str, Any] | None:
    """Return what the task returned, or None where it has returned nothing (yet); or what else it left under `key`."""
    wanted = _wanted(dag_id, [run_id], key).where(
        XComModel.task_id == task.task_id, XComModel.map_index == task.map_index
    )
    return next((as_mapping(value) for *_, value in session.execute(wanted)), None)


def results_of_run(session: Session, dag_id: str, run_id: str, *, key: str = RESULT) -> dict[TaskKey, dict[str, Any]]:
    """Return the results of all tasks of a run, or what else they left under `key`."""
    found = session.execute(_wanted(dag_id, [run_id], key))
    return {TaskKey(task_id, map_index): as_mapping(value) for _, task_id, map_index, value in found}


def results_of_task(session: Session, dag_id: str, run_ids: Iterable[str], task_id: str) -> dict[str, dict[str, Any]]:
    """Return what one task, not mapped, returned in several runs, by run id."""
    found = session.execute(_wanted(dag_id, run_ids).where(XComModel.task_id == task_id, XComModel.map_index == -1))
    return {run_id: as_mapping(value) for run_id, _, _, value in found}


def _wanted(dag_id: str, run_ids: Iterable[str], key: str = RESULT) -> Any:
    return select(XComModel.run_id, XComModel.task_id, XComModel.map_index, XComModel.value).where(
        XComModel.dag_id == dag_id, XComModel.run_id.in_(list(run_ids)), XComModel.key == key
    )


def as_mapping(value: Any) -> dict[str, Any]:
    """Return what a column `XComModel.value` holds; nothing where that is no mapping."""
    found = XComModel.deserialize_value(_Row(value))
    return found if isinstance(found, dict) else {}


class _Row(NamedTuple):
    """What `XComModel.deserialize_value` asks of a row."""

    value: Any

"""What needs the reader: questions that wait for them, files that Airflow cannot import."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.models.dag import DagModel
from airflow.models.errors import ParseImportError
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import select
from sqlalchemy.orm import Session

from aimass.ui.queries.pipelines import TAG
from aimass.ui.security import may_answer

WAITING = ("awaiting_input", "deferred")


class Question(NamedTuple):
    """A task that waits for an answer.

    Attributes
    ----------
    assignees : tuple of str
        Who may answer, by name; empty where everybody may who may answer in that DAG at all.
    is_mine : bool
        Whether the reader may answer.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    subject: str
    asked_at: datetime
    assignees: tuple[str, ...]
    is_mine: bool


class ImportFailure(NamedTuple):
    """A file that Airflow cannot import; `text` is the last line of what Python said."""

    filename: str
    text: str
    seen_at: datetime | None


def questions(session: Session, user: BaseUser, dag_ids: Collection[str], run_id: str | None = None) -> list[Question]:
    """Return the questions that wait in the DAGs `dag_ids`, the oldest first; in one run, where it is named."""
    wanted = (
        select(
            TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index,
            HITLDetail.subject, HITLDetail.created_at, HITLDetail.assignees,
        )
        .select_from(HITLDetail)
        .join(TaskInstance, HITLDetail.ti_id == TaskInstance.id)
        .where(TaskInstance.state.in_(WAITING), HITLDetail.responded_at.is_(None))
        .order_by(HITLDetail.created_at)
    )  # fmt: skip
    if run_id is not None:
        wanted = wanted.where(TaskInstance.run_id == run_id)
    answerable: dict[str, bool] = {}
    found = []
    for dag_id, run, task_id, map_index, subject, asked_at, assignees in session.execute(wanted):
        if dag_id not in dag_ids:
            continue
        if dag_id not in answerable:
            answerable[dag_id] = may_answer(user, dag_id)
        named = [one for one in assignees or () if isinstance(one, dict)]
        is_mine = answerable[dag_id] and _is_assigned({str(one.get("id")) for one in named}, user)
        names = tuple(str(one.get("name") or one.get("id")) for one in named)
        found.append(Question(dag_id, run, task_id, map_index, subject, asked_at, names, is_mine))
    return found


def import_failures(session: Session, user: BaseUser, readable: Collection[str]) -> list[ImportFailure]:
    """Return our DAG files that cannot be imported; of those with DAGs, only files whose every DAG may be read."""
    if not get_auth_manager().is_authorized_view(access_view=AccessView.IMPORT_ERRORS, user=user):
        return []
    columns = (ParseImportError.filename, ParseImportError.bundle_name, ParseImportError.stacktrace)
    failures = session.execute(select(*columns, ParseImportError.timestamp)).all()
    if not failures:
        return []
    dags: dict[tuple[str | None, str | None], set[str]] = {}
    for bundle, file, dag_id in session.execute(
        select(DagModel.bundle_name, DagModel.relative_fileloc, DagModel.dag_id).where(
            DagModel.relative_fileloc.in_([failure.filename for failure in failures])
        )
    ):
        dags.setdefault((bundle, file), set()).add(dag_id)
    found = []
    for filename, where, stacktrace, seen_at in failures:
        inside = dags.get((where, filename), set())
        is_ours = TAG in (filename or "").lower() or any(dag_id.startswith(TAG) for dag_id in inside)
        if is_ours and inside <= set(readable):
            lines = (stacktrace or "").strip().splitlines()
            found.append(ImportFailure(filename or "", lines[-1].strip() if lines else "", seen_at))
    return found


def _is_assigned(assignees: set[str], user: BaseUser) -> bool:
    return not assignees or get_auth_manager().is_authorized_hitl_task(assigned_users=assignees, user=user)

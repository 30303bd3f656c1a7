"""Ending a task well, and skipping tasks after it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseXCom
from airflow.sdk.exceptions import DownstreamTasksSkipped

if TYPE_CHECKING:
    from airflow.sdk import Context


def end_and_skip(context: Context, result: Any, task_ids: Iterable[str]) -> NoReturn:
    """End the task with `result`, and skip the tasks `task_ids`."""
    # Airflow ends a task that skips others by an exception: what it returns would be lost.
    context["ti"].xcom_push(key=BaseXCom.XCOM_RETURN_KEY, value=result)
    raise DownstreamTasksSkipped(tasks=sorted(task_ids))  # type: ignore[no-untyped-call] # Airflow's own

"""Which tasks published which outputs, over the last runs of a DAG."""

from __future__ import annotations

from typing import Any, NamedTuple

from airflow.models.dagrun import DagRun
from sqlalchemy import select
from sqlalchemy.orm import Session

from aimass.ui.queries.results import TaskKey, results_of_run

RECENT_RUNS = 5


class Maker(NamedTuple):
    """The task of a run that returned an output."""

    run_id: str
    task: TaskKey


def makers_of(session: Session, dag_id: str, run_id: str, *, recent: int = RECENT_RUNS) -> dict[str, Maker]:
    """Return who published each output, by its address: the run's own tasks first, then those of the last runs.

    The same output may stand in several runs, which reused it; it is said to be this run's where it is.
    """
    last = select(DagRun.run_id).where(DagRun.dag_id == dag_id).order_by(DagRun.run_after.desc()).limit(recent)
    runs = dict.fromkeys([run_id, *session.scalars(last)])
    found: dict[str, Maker] = {}
    for run in runs:
        for task, result in results_of_run(session, dag_id, run).items():
            uri = _address(result)
            if uri:
                found.setdefault(uri, Maker(run, task))
    return found


def _address(result: dict[str, Any]) -> str:
    return str(result.get("uri") or "").rstrip("/")

"""What Airflow's scheduler would have written to its database: DAGs, runs, tasks, results, requests for approval."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from airflow.models.dag import DagModel, DagTag
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.errors import ParseImportError
from airflow.models.hitl import HITLDetail
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

BUNDLE = "dags-folder"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
# Children first.
FILLED = (
    HITLDetail, XComModel, TaskStateStoreModel, TaskInstance, DagRun, DagTag, DagModel, ParseImportError, DagBundleModel
)  # fmt: skip


class Seeding:
    """Writes rows as the scheduler and the tasks do, only what the pages read being filled in.

    Parameters
    ----------
    session : Session
        Of Airflow's database.
    at_once : bool
        Whether each row is written and committed as it comes; otherwise `flush` writes all, many times faster.
    """

    def __init__(self, session: Session, *, at_once: bool = True) -> None:
        self.session = session
        self._at_once = at_once
        self._kept: dict[Any, list[dict[str, Any]]] = {}
        self._runs = session.scalar(select(func.max(DagRun.id))) or 0
        self._numbers: dict[tuple[str, str], int] = {}

    def clear(self) -> None:
        """Remove everything that was written."""
        for model in FILLED:
            self.session.execute(delete(model))
        self.session.commit()

    def dag(self, dag_id: str = "aimass_customers", *, tags: Iterable[str] = ("aimass",), **fields: Any) -> str:
        """Write a DAG; return its id."""
        if DagBundleModel not in self._kept and self.session.get(DagBundleModel, BUNDLE) is None:
            self._write(DagBundleModel, name=BUNDLE, active=True)
        defaults = {"bundle_name": BUNDLE, "relative_fileloc": f"{dag_id}.py", "fileloc": f"/dags/{dag_id}.py"}
        empty: dict[str, Any] = {"timetable_type": "", "max_active_tasks": 16, "max_consecutive_failed_dag_runs": 0}
        flags = {
            "is_paused": False,
            "is_stale": False,
            "has_task_concurrency_limits": False,
            "partition_mapper_info": [],
        }
        given = {"owners": "aimass", "timetable_summary": "None", **fields}
        self._write(DagModel, dag_id=dag_id, **{**defaults, **empty, **flags, **given})
        for tag in tags:
            self._write(DagTag, dag_id=dag_id, name=tag)
        return dag_id

    def serialize(self, dag: Any, bundle: str = BUNDLE) -> None:
        """Write what the DAG looks like, as the DAG processor does, so that it can be triggered."""
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.serialization.serialized_objects import LazyDeserializedDAG

        SerializedDagModel.write_dag(LazyDeserializedDAG.from_dag(dag), bundle_name=bundle, session=self.session)
        self.session.commit()

    def run(
        self, dag_id: str, run_id: str = "", *, state: str = "success", age_h: float = 1, lasted_s: float = 90,
        **fields: Any,
    ) -> str:  # fmt: skip
        """Write a run that was triggered `age_h` hours before `NOON`; return its id."""
        self._runs += 1
        began = NOON - timedelta(hours=age_h)
        ended = began + timedelta(seconds=lasted_s) if state in ("success", "failed") else None
        run_id = run_id or f"manual__{self._runs:05}"
        times = {"run_after": began, "queued_at": began, "start_date": began, "end_date": ended}
        common = {"run_type": "manual", "conf": {}, "created_at": began, "updated_at": began}
        self._numbers[dag_id, run_id] = self._runs
        self._write(DagRun, id=self._runs, dag_id=dag_id, run_id=run_id, state=state, **times, **{**common, **fields})
        return run_id

    def task(
        self, dag_id: str, run_id: str, task_id: str, *, result: Any = None, state: str = "success",
        map_index: int = -1, **fields: Any,
    ) -> UUID:  # fmt: skip
        """Write a task of a run, with what it returned; return its id."""
        identity = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
        times = {"start_date": NOON, "end_date": NOON + timedelta(seconds=3), "duration": 3.0}
        common = {"try_number": 1, "max_tries": 2, "pool": "default_pool", "pool_slots": 1, "operator": ""}
        row = {"id": uuid4(), "state": state, **identity, **times, **common, **fields}
        self._write(TaskInstance, **row)
        if result is not None:
            self.xcom(dag_id, run_id, task_id, result, map_index=map_index)
        return row["id"]

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, value: Any, *, key: str = "return_value", map_index: int = -1
    ) -> None:
        """Write what a task hands on."""
        number = self._numbers[dag_id, run_id]
        identity = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
        self._write(XComModel, dag_run_id=number, key=key, value=value, timestamp=NOON, **identity)

    def progress(self, dag_id: str, run_id: str, task_id: str, **event: Any) -> None:
        """Write how far a running task has come."""
        number = self._numbers[dag_id, run_id]
        identity = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": -1}
        self._write(
            TaskStateStoreModel, dag_run_id=number, key="progress", value=json.dumps(event), updated_at=NOON, **identity
        )

    def question(self, task: UUID, *, subject: str = "Release it?", users: Iterable[str] = (), **fields: Any) -> None:
        """Let the task wait for an answer."""
        asked = {"options": ["Approve", "Reject"], "params": {}, "params_input": {}, "created_at": NOON}
        assignees = [{"id": user, "name": user} for user in users] or None
        self._write(HITLDetail, ti_id=task, subject=subject, body="", assignees=assignees, **{**asked, **fields})

    def import_error(self, filename: str, stacktrace: str) -> None:
        """Write that a DAG file cannot be imported."""
        self._write(ParseImportError, filename=filename, bundle_name=BUNDLE, stacktrace=stacktrace, timestamp=NOON)

    def flush(self) -> None:
        """Write what was kept back, parents first."""
        for model in reversed(FILLED):
            rows = self._kept.pop(model, [])
            if rows:
                self.session.execute(insert(model.__table__), rows)
        self.session.commit()

    def _write(self, model: Any, **row: Any) -> None:
        self._kept.setdefault(model, []).append(row)
        if self._at_once:
            self.flush()

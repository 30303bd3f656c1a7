"""A DAG run, followed task by task until it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from demo.errors import DemoError
from demo.rest import Airflow
from demo.services import NEEDED, Services

POLL_S = 0.5
# A server whose machine is busy with training may be late.
SILENCE_S = 60.0
LEAST_S_BETWEEN_LINES = 3.0
ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}
WAITING = {"", "scheduled", "queued", "no_status"}
MARKS = {"success": "done", "upstream_failed": "not run", "": "waiting", "up_for_retry": "will retry"}


@dataclass(frozen=True)
class Task:
    """One task of a run as it stands.

    Attributes
    ----------
    task_id : str
        Its id in the DAG.
    map_index : int
        Which one of a mapped task; -1 for a task that is not mapped.
    label : str
        What people read: the id, and for a mapped task what it works on.
    state : str
        Airflow's word; empty before it is scheduled.
    attempt : int
        Which try; 1 is the first.
    elapsed_s : float
        Since it started, or from start to end.
    text : str
        What it is doing, or what came out.
    result : mapping or None
        What it returned, once it has ended well.
    """

    task_id: str
    map_index: int = -1
    label: str = ""
    state: str = ""
    attempt: int = 1
    elapsed_s: float = 0.0
    text: str = ""
    result: Any = None

    @property
    def is_reused(self) -> bool:
        """Whether it found its output published by an earlier run."""
        return isinstance(self.result, dict) and bool(self.result.get("reused"))

    @property
    def mark(self) -> str:
        """The state in a word."""
        return "reused" if self.is_reused else MARKS.get(self.state, self.state)


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended: its state and its tasks in order."""

    run_id: str
    state: str
    tasks: list[Task]
    elapsed_s: float


class Display(Protocol):
    """Shows tasks while they run."""

    def show(self, tasks: list[Task], elapsed_s: float) -> None:
        """Show what has changed."""

    def close(self) -> None:
        """Leave the terminal as it should stay."""


class Lines:
    """One line per change, for logs and pipes."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, int], tuple[str, int, str, float]] = {}

    def show(self, tasks: list[Task], elapsed_s: float) -> None:
        """Print each task that has another state, and now and then how far the running ones have come."""
        for task in tasks:
            key = (task.task_id, task.map_index)
            state, attempt, text, at = self._shown.get(key, ("", 1, "", -LEAST_S_BETWEEN_LINES))
            changed = (task.state, task.attempt) != (state, attempt) and task.state not in WAITING
            moved = task.state == "running" and task.text != text and elapsed_s - at >= LEAST_S_BETWEEN_LINES
            if changed or moved:
                self._shown[key] = (task.state, task.attempt, task.text, elapsed_s)
                print(f"{elapsed_s:6.1f} s  {task.label:<24} {task.mark:<8} {task.text}".rstrip(), flush=True)

    def close(self) -> None:
        """Nothing to restore."""


class LiveTable:
    """A table that is drawn anew in place, for terminals."""

    def __init__(self) -> None:
        self._live = Live(console=Console(), refresh_per_second=4, transient=False)
        self._live.start()

    def show(self, tasks: list[Task], elapsed_s: float) -> None:
        """Draw all tasks."""
        table = Table("task", "state", "progress", "time", box=None, title=f"{elapsed_s:.0f} s", title_justify="left")
        styles = {"done": "green", "reused": "cyan", "running": "yellow", "failed": "bold red", "waiting": "dim"}
        for task in tasks:
            seconds = f"{task.elapsed_s:.1f} s" if task.elapsed_s else ""
            table.add_row(task.label, task.mark, task.text, seconds, style=styles.get(task.mark, ""))
        self._live.update(table)

    def close(self) -> None:
        """Leave the last table standing."""
        self._live.stop()


def watch(airflow: Airflow, services: Services, dag_id: str, run_id: str, order: list[str]) -> RunOutcome:
    """Show the run until it ends; raise DemoError when a service dies meanwhile.

    Parameters
    ----------
    order : list of str
        The DAG's task ids in the order in which they run.
    """
    display: Display = LiveTable() if sys.stdout.isatty() else Lines()
    started = heard = time.monotonic()
    known: dict[tuple[str, int], Task] = {}
    try:
        while True:
            services.check_alive(set(NEEDED))
            try:
                state = _look_at_all(airflow, dag_id, run_id, known)
                heard = time.monotonic()
            except OSError as error:
                state = _patience(error, time.monotonic() - heard)
            tasks = _sorted(known.values(), order)
            elapsed_s = time.monotonic() - started
            display.show(tasks, elapsed_s)
            if state in ("success", "failed"):
                return RunOutcome(run_id, state, tasks, elapsed_s)
            time.sleep(POLL_S)
    finally:
        display.close()


def _look_at_all(airflow: Airflow, dag_id: str, run_id: str, known: dict[tuple[str, int], Task]) -> str:
    """Bring `known` up to date and return the run's state."""
    # The state is read first: a run that has ended has told everything by the time its tasks are read.
    state = str(airflow.run(dag_id, run_id)["state"])
    for instance in airflow.tasks(dag_id, run_id):
        task = _look(airflow, dag_id, run_id, instance, known.get(_key(instance)))
        known[task.task_id, task.map_index] = task
    return state


def _patience(error: OSError, silent_s: float) -> str:
    """Return no state for a busy server; raise DemoError once it has been silent for too long."""
    if silent_s > SILENCE_S:
        raise DemoError(f"Airflow's REST has not answered well for {silent_s:.0f} s: {error}") from error
    return ""


def _look(airflow: Airflow, dag_id: str, run_id: str, instance: dict[str, Any], before: Task | None) -> Task:
    """Return the task as it stands; what it says is asked only while that may change."""
    task_id, map_index = _key(instance)
    state = instance["state"] or ""
    label = instance.get("rendered_map_index") or (str(map_index) if map_index >= 0 else "")
    task = Task(
        task_id=task_id,
        map_index=map_index,
        label=f"{task_id}[{label}]" if label else task_id,
        state=state,
        attempt=max(1, instance["try_number"] or 1),
        elapsed_s=_elapsed_s(instance),
    )
    if before is not None and before.state == state and state in ENDED:
        return replace(before, elapsed_s=task.elapsed_s)
    if state == "success":
        result = airflow.result(dag_id, run_id, task_id, map_index)
        return replace(task, result=result, text=_outcome_text(result, task.elapsed_s))
    if state in ("running", "up_for_retry"):
        return replace(task, text=airflow.progress(dag_id, run_id, task_id, map_index))
    return task


def _outcome_text(result: Any, elapsed_s: float) -> str:
    parts = [f"{elapsed_s:.1f} s"]
    if isinstance(result, dict):
        rows = result.get("rows")
        if isinstance(rows, dict):
            parts += [f"{name} {count:,}" for name, count in rows.items()]
        elif isinstance(rows, int):
            parts.append(f"{rows:,} rows")
    return ", ".join(parts)


def _elapsed_s(instance: dict[str, Any]) -> float:
    if not instance["start_date"]:
        return 0.0
    start = datetime.fromisoformat(instance["start_date"])
    end = datetime.fromisoformat(instance["end_date"]) if instance["end_date"] else datetime.now(UTC)
    return max(0.0, (end - start).total_seconds())


def _key(instance: dict[str, Any]) -> tuple[str, int]:
    return str(instance["task_id"]), int(instance["map_index"])


def _sorted(tasks: Iterable[Task], order: list[str]) -> list[Task]:
    """Sort by the DAG's order; the unmapped placeholder of a mapped task goes once its instances are there."""
    tasks = list(tasks)
    mapped = {task.task_id for task in tasks if task.map_index >= 0}
    place = {task_id: index for index, task_id in enumerate(order)}
    shown = [task for task in tasks if task.map_index >= 0 or task.task_id not in mapped]
    return sorted(shown, key=lambda task: (place.get(task.task_id, len(place)), task.map_index))

"""What the person at the terminal is told at the end: what came out, and whether it stands."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from demo.errors import DemoError
from demo.home import USER, Home
from demo.progress import RunOutcome, Task
from demo.services import STORY, Services, answer, tail

SHOWN_METRICS = ("auc", "log_loss", "accuracy", "precision", "recall", "f1")


def report(home: Home, dag_id: str, outcome: RunOutcome) -> None:
    """Print candidates, released version, certificate and addresses.

    Raises
    ------
    DemoError
        The run failed, or MLflow's registry does not hold the version that the run says it released.
    """
    if outcome.state != "success":
        raise DemoError(failure(home, dag_id, outcome))
    print_reuse(outcome)
    print_candidates(outcome.tasks)
    released = _result_of(outcome.tasks, "release")
    if released is None:
        raise DemoError(f"The run {outcome.run_id} ended well but has no task `release`: nothing was released.")
    version = standing_version(home, released["name"], released["alias"])
    if version != str(released["version"]):
        raise DemoError(
            f"Nothing stands: MLflow's registry at {home.mlflow_url} has "
            f"{f'version {version}' if version else 'no version'} of {released['name']} under "
            f"{released['alias']!r}, while the run released version {released['version']}."
        )
    print(f"\nReleased   {released['name']} version {version} under {released['alias']!r}")
    print(f"Certified  {certificate_line(released['certificate'])}")
    print_access(home)


def print_reuse(outcome: RunOutcome) -> None:
    """Say which tasks found their output published already."""
    reused = [task.label for task in outcome.tasks if task.is_reused]
    ran = [task.label for task in outcome.tasks if task.state == "success" and not task.is_reused]
    print(f"\nThe run took {outcome.elapsed_s:.1f} s.")
    if reused:
        print(f"Reused: {', '.join(reused)}")
        print(f"Ran:    {', '.join(ran) or 'nothing'}")


def print_candidates(tasks: Iterable[Task]) -> None:
    """Print every evaluated candidate with its metrics."""
    rows = list(_evaluated(tasks))
    metrics = [name for name in SHOWN_METRICS if any(name in row["metrics"] for row in rows)]
    table = Table("evaluated by", "split", "candidate", "family", *metrics, box=None, pad_edge=False)
    for row in rows:
        numbers = [f"{row['metrics'][name]:.4f}" if name in row["metrics"] else "" for name in metrics]
        table.add_row(row["task"], row["split"], row["name"], row["family"], *numbers)
    print()
    Console(width=None if Console().is_terminal else 160).print(table)


def certificate_line(certificate: dict[str, Any]) -> str:
    """Return the parity certificate in a line."""
    return (
        f"{certificate['rows']:,} rows: largest |Δ| {certificate['max_abs_diff']:.2e}, "
        f"{certificate['flips_outside']} label flips outside the threshold's band"
    )


def standing_version(home: Home, name: str, alias: str) -> str | None:
    """Ask MLflow's registry which version stands under `alias`."""
    query = urllib.parse.urlencode({"name": name, "alias": alias})
    body = answer(f"{home.mlflow_url}/api/2.0/mlflow/registered-models/alias?{query}")
    return str(json.loads(body)["model_version"]["version"]) if body else None


def print_access(home: Home) -> None:
    """Print addresses, user and password, and how to stop."""
    print(f"\nAirflow    {home.airflow_url}   user {USER}   password {home.secrets['password']}")
    print(f"MLflow     {home.mlflow_url}")
    print(f"Serving    {home.serving_url}")
    print(f"Logs       {home.logs}")
    print("Stop       make down")


def print_story(home: Home) -> None:
    """Print how far the story has come; nothing where it has not begun."""
    log = Services(home).log(STORY)
    if log.exists():
        print(f"Story      the model is served, improved, fed nonsense, and comes back by itself: {log}")
        if log.stat().st_size:
            print(tail(log))


def failure(home: Home, dag_id: str, outcome: RunOutcome) -> str:
    """Return, for each task that failed, its error line and the path of its log."""
    lines = [f"The run {outcome.run_id} of {dag_id} failed."]
    for task in outcome.tasks:
        if task.state == "failed":
            log = task_log(home, dag_id, outcome.run_id, task)
            lines.append(f"  {task.label}: {error_line(log)}\n    log: {log}")
    return "\n".join(lines)


def task_log(home: Home, dag_id: str, run_id: str, task: Task) -> Path:
    """Return the path of the log of the task's last attempt."""
    folder = home.task_logs / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task.task_id}"
    if task.map_index >= 0:
        folder /= f"map_index={task.map_index}"
    return folder / f"attempt={task.attempt}.log"


def error_line(log: Path) -> str:
    """Return the last error in a task's log: the exception's own words where there is one."""
    found = "it failed without a word; its log may say more"
    if not log.exists():
        return "it failed before it could write a log: see the scheduler's"
    for line in log.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("level") in ("error", "critical"):
            details = entry.get("error_detail") or []
            text = f"{details[0]['exc_type']}: {details[0]['exc_value']}" if details else str(entry.get("event", ""))
            found = text.strip() or found
    return found


def _evaluated(tasks: Iterable[Task]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        if isinstance(task.result, dict) and "split" in task.result:
            for candidate in task.result.get("candidates", []):
                yield {**candidate, "task": task.label, "split": task.result["split"]}


def _result_of(tasks: Iterable[Task], task_id: str) -> dict[str, Any] | None:
    return next((task.result for task in tasks if task.task_id.split(".")[-1] == task_id), None)

"""What Airflow and our operators add to the work itself: the flights pipeline with 24 trials, nothing reused.

Platform seconds are the run's wall time less the time in which at least one task was inside its stage's `run`; they
hold scheduling, process starts, imports and the calls to Airflow. The peer is the same stages in one Python process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from benchmarks.figures import Figure, conclude, figure
from demo.home import USER, Home
from demo.progress import Task, watch
from demo.rest import Airflow
from demo.services import Services
from demo.startup import start, wait_for_dag

DAG_ID = "aimass_flights"
GOAL_S = 1.5


def measure(folder: Path) -> tuple[float, float, int, float]:
    """Run the pipeline in Airflow, then its stages in one process.

    Returns
    -------
    tuple
        Wall seconds in Airflow, seconds in which work was done, number of tasks, wall seconds of the peer.
    """
    home = Home(folder)
    services = Services(home)
    try:
        start(home)
        airflow = Airflow(home.airflow_url, USER, home.secrets["password"])
        order = wait_for_dag(airflow, DAG_ID)
        run_id = airflow.trigger(DAG_ID, {})
        outcome = watch(airflow, services, DAG_ID, run_id, order)
        if outcome.state != "success" or any(task.is_reused for task in outcome.tasks):
            raise SystemExit(f"the run {run_id} ended as {outcome.state}; expected success with nothing reused")
        work = inside(airflow, run_id, outcome.tasks)
        wall = wall_of(airflow, run_id)
        peer = run_alone(home, folder / "alone")
    finally:
        services.stop()
    return wall, covered(work), len(outcome.tasks), peer


def wall_of(airflow: Airflow, run_id: str) -> float:
    """Return the seconds between the run's queueing and its end."""
    run = airflow.run(DAG_ID, run_id)
    return (datetime.fromisoformat(run["end_date"]) - datetime.fromisoformat(run["queued_at"])).total_seconds()


def inside(airflow: Airflow, run_id: str, tasks: Iterable[Task]) -> list[tuple[float, float]]:
    """Return when each task was inside its stage: the last progress says how long, its time says until when."""
    spans = []
    for task in tasks:
        entry = airflow.progress_entry(DAG_ID, run_id, task.task_id, task.map_index)
        if entry is None or entry["value"]["step"] != "ran":
            raise SystemExit(f"{task.label} did not say how long its stage ran, but {entry}")
        end = datetime.fromisoformat(entry["updated_at"]).timestamp()
        spans.append((end - entry["value"]["done"], end))
    return spans


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of `spans`."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def run_alone(home: Home, store: Path) -> float:
    """Run the stages of the run again in one fresh Python process; return its wall seconds."""
    command = [sys.executable, "-m", "benchmarks.alone", str(home.store), str(store), home.mlflow_url]
    done = subprocess.run(command, env=home.environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--long", action="store_true", help="5 repetitions instead of 1")
    measured = []
    for _ in range(5 if parser.parse_args().long else 1):
        with tempfile.TemporaryDirectory(prefix="aimass-overhead-") as folder:
            measured.append(measure(Path(folder)))
    per_task = [(wall - work) / tasks for wall, work, tasks, _ in measured]
    peers = [peer for *_, peer in measured]
    print(f"{measured[0][2]} tasks, {len(measured)} repetitions")
    figures: list[Figure] = [
        figure("platform seconds per task", per_task, "s", goal=GOAL_S),
        figure("seconds inside the stages", [work for _, work, *_ in measured], "s"),
        figure("whole run (peer: the stages in one process)", [wall for wall, *_ in measured], "s", peer=peers),
    ]
    return conclude("overhead", figures)


if __name__ == "__main__":
    sys.exit(main())

"""How long the overview takes with 200 pipelines and 5,000 runs on SQLite: through Airflow's own app, logged in."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figures import conclude, figure

GOAL_MS = 300
PIPELINES = 200
RUNS_EACH = 25
METRICS = {"auc": 0.81, "average_precision": 0.5, "log_loss": 0.4, "brier": 0.1, "f1": 0.6}


@contextmanager
def airflow_home() -> Iterator[Path]:
    """Give Airflow, which reads these when it is first imported, a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="aimass-ui-overview-") as folder:
        os.environ |= {
            "AIRFLOW_HOME": folder,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of this benchmark alone, long enough to sign with",
        }
        yield Path(folder)


def fill() -> None:
    """Write pipelines, runs, tasks and results, as a year of use would have left them."""
    from airflow.utils.session import create_session

    from tests.ui.seeding import Seeding

    with create_session() as session:
        seeding = Seeding(session, at_once=False)
        for number in range(PIPELINES):
            dag_id = seeding.dag(f"aimass_pipeline_{number:03}", description=f"What becomes of customer {number}?")
            for run in range(RUNS_EACH):
                state = "failed" if (number * 7 + run) % 9 == 0 else "success"
                add_run(seeding, dag_id, state, age_h=(RUNS_EACH - run) * 24.0 + number / 60)
        waiting = seeding.run("aimass_pipeline_007", state="running")
        seeding.question(seeding.task("aimass_pipeline_007", waiting, "approve", state="awaiting_input"))
        seeding.flush()


def add_run(seeding: Any, dag_id: str, state: str, *, age_h: float) -> None:
    """Write one run with every task of a pipeline."""
    run_id = seeding.run(dag_id, state=state, age_h=age_h)
    best = {"best": "lightgbm", "candidates": [{"name": "lightgbm", "family": "lightgbm", "metrics": METRICS}]}
    released = {"name": dag_id, "version": "3", "alias": "champion", "standing": True}
    for task_id in ("ingest", "join", "split", "explore", "validate", "clean", "featurize", "train", "evaluate"):
        seeding.task(dag_id, run_id, task_id, result=best if task_id in ("train", "evaluate") else {"rows": 1})
    seeding.task(dag_id, run_id, "evaluate_best", result=best)
    seeding.task(dag_id, run_id, "release", state=state, result=released if state == "success" else None)


def measure(requests: int) -> tuple[float, list[float]]:
    """Return milliseconds of the first request, and of each of `requests` more."""
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from starlette.testclient import TestClient

    app = create_app(apps="core")
    manager: Any = get_auth_manager()
    token = manager.generate_jwt(SimpleAuthManagerUser(username="reader", role="viewer"))
    client = TestClient(app, headers={"Authorization": f"Bearer {token}"})
    taken = []
    for _ in range(requests + 1):
        begun = time.perf_counter()
        answer = client.get("/aimass/")
        taken.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code == 200, answer.text
        assert f"{PIPELINES} pipelines" in answer.text
    return taken[0], taken[1:]


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ui_overview", description=__doc__)
    parser.add_argument("--long", action="store_true", help="100 requests instead of 20")
    requests = 100 if parser.parse_args().long else 20
    with airflow_home():
        from airflow.utils.db import initdb

        initdb()
        fill()
        first, others = measure(requests)
    print(f"{PIPELINES} pipelines, {PIPELINES * RUNS_EACH} runs, SQLite, {requests} requests")
    return conclude(
        "ui_overview",
        [
            figure("the overview, logged in", others, "ms", goal=GOAL_MS),
            figure("its first request after the start", [first], "ms"),
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main())

"""kill -9 of task processes under a running Airflow: its own retry brings the run to the same end."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo import processes
from demo.services import Services
from tests.crash.customers import write_customers
from tests.crash.killing import KILL_FOLDER, order_kill
from tests.e2e.running import ROOT, SMALL_PIPELINE, Demo

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(1800)]
# Each is passed once by the first attempt of its task.
POINTS = {
    "ingest": "part_staged 1",
    "split": "before_manifest 1",
    "featurize": "part_staged 1",
    "train": "fitted 1",
    "release": "between_registry_and_alias 1",
}
# These die at a random moment.
AT_RANDOM = ("validate", "work_1")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    base = tmp_path_factory.mktemp("kills")
    pipelines = base / "pipelines"
    pipelines.mkdir()
    write_customers(base / "customers.csv")
    for name in ("calm", "stormy"):
        text = SMALL_PIPELINE.format(name=name, csv=(base / "customers.csv").as_uri())
        (pipelines / f"{name}.yaml").write_text(text)
    variables = {
        KILL_FOLDER: str(base / "kills"),
        "AIRFLOW__AIMASS__FAILPOINTS": "tests.crash.killing:FileFailpoints",
        "PYTHONPATH": str(ROOT),
    }
    found = Demo(base / "demo", pipelines, variables, port_offset=5000)
    up = found.call("up")
    assert up.returncode == 0, up.stderr
    yield found
    found.call("down")


def kill_at_random(demo: Demo, run_id: str, seed: int) -> list[str]:
    """Kill one process of each task of AT_RANDOM as it runs, a random moment after its start; return who died."""
    generator = random.Random(seed)
    waiting = set(AT_RANDOM)
    died: list[str] = []
    airflow = demo.airflow
    while airflow.run("aimass_stormy", run_id)["state"] not in ("success", "failed"):
        for task in airflow.tasks("aimass_stormy", run_id):
            if task["task_id"] in waiting and task["state"] == "running" and task["try_number"] == 1:
                waiting.discard(task["task_id"])
                time.sleep(generator.uniform(0, 1.5))  # the moment of the kill is what is drawn
                if kill_task(demo, task["id"]):
                    died.append(task["task_id"])
        time.sleep(0.2)
    return died


def kill_task(demo: Demo, instance_id: str) -> bool:
    """Send SIGKILL to the process that runs a task instance, which carries the instance's id as its name."""
    for identity in processes.of_sessions(Services(demo.home).running().values()):
        title = Path(f"/proc/{identity.pid}/cmdline").read_bytes().rstrip(b"\0").decode()
        if title.endswith(f"-- {instance_id}"):
            identity.send(signal.SIGKILL)
            return True
    return False


def results(demo: Demo, dag_id: str, run_id: str) -> dict[str, Any]:
    """Return what every task returned, by task and map index."""
    return {
        f"{task['task_id']}[{task['map_index']}]": demo.airflow.result(
            dag_id, run_id, task["task_id"], task["map_index"]
        )
        for task in demo.airflow.tasks(dag_id, run_id)
    }


def comparable(found: dict[str, Any]) -> dict[str, Any]:
    """Return each task's digest; where an output names its pipeline or its address, the figures in it count instead."""
    digests = {
        task: result["digest"] for task, result in found.items() if isinstance(result, dict) and "digest" in result
    }
    for task in ("evaluate[-1]", "evaluate_best[-1]"):
        digests[task] = [found[task]["candidates"], found[task]["threshold"]]
    release = found["release[-1]"]
    return {**digests, "release[-1]": [release["version"], release["certificate"], release["metrics"]]}


def test_a_run_with_killed_tasks_ends_like_one_without(
    demo: Demo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calm = demo.run("calm")
    assert calm.returncode == 0, calm.stdout[-3000:] + calm.stderr
    kills = Path(demo.variables[KILL_FOLDER])
    for task, point in POINTS.items():
        order_kill(kills, task=task, point=point)
    airflow = demo.airflow
    stormy = airflow.trigger("aimass_stormy", {})
    died = kill_at_random(demo, stormy, seed=7)
    assert airflow.run("aimass_stormy", stormy)["state"] == "success"
    tries = {task["task_id"]: task["try_number"] for task in airflow.tasks("aimass_stormy", stormy)}
    with capsys.disabled():
        print(f"\nkilled at fail points: {POINTS}; at a random moment: {died}; tries: {tries}")
    assert not list(kills.glob("*.kill"))
    assert all(tries[task] == 2 for task in POINTS)
    first = airflow.get("dags", "aimass_calm", "dagRuns")["dag_runs"][0]["dag_run_id"]
    assert comparable(results(demo, "aimass_stormy", stormy)) == comparable(results(demo, "aimass_calm", first))
    again = demo.run("stormy")
    assert again.returncode == 0
    assert "stormy_model version 1 under 'champion'" in again.stdout

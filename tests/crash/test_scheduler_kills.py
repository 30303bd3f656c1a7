"""kill -9 of scheduler and triggerer during a rollback under a running Airflow: once they are back, it goes on."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.release.base import BAD_TAG
from aimass.core.release.ledger import Ledger
from aimass.core.release.promotion import open_registry
from demo import processes
from demo.services import Services
from tests.crash.customers import write_customers
from tests.e2e.running import SMALL_PIPELINE, Demo

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(1800)]
MODEL = "calm_model"
DAG_ID = "aimass_rollback"
# What the second version is: another model, whatever its quality.
WORSE = {
    "train": {"models": [{"type": "decision_tree", "max_depth": 1}]},
    "optimize": {"trials": 1},
    "release": {"gate": {"max_drop": 1.0}},
}
LONGEST_S = 300.0
POLL_S = 0.1


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo with two versions of a model, the second of them in use and served."""
    base = tmp_path_factory.mktemp("scheduler")
    (base / "pipelines").mkdir()
    write_customers(base / "customers.csv")
    text = SMALL_PIPELINE.format(name="calm", csv=(base / "customers.csv").as_uri())
    (base / "pipelines" / "calm.yaml").write_text(text)
    found = Demo(base / "demo", base / "pipelines", port_offset=4000)
    try:
        for conf in ({}, WORSE):
            ran = found.run("calm", json.dumps(conf))
            assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr
        yield found
    finally:
        found.call("down")


@pytest.fixture
def services(demo: Demo) -> Iterator[Services]:
    """The demo's programs; those that are started here are children of this process, which sees them end."""
    found = Services(demo.home)
    found.wait_until_ready({"serving", "triggerer"})
    yield found
    found.stop()


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until `condition` holds; return what it returned."""
    deadline = time.monotonic() + LONGEST_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(POLL_S)
    return found


def kill_and_start(services: Services, name: str) -> None:
    """Send SIGKILL to a service's first process, and start it again as a supervisor of services would."""
    services.running()[name].send(signal.SIGKILL)
    until(lambda: name not in services.running(), f"{name} is dead")
    services.start(services.by_name(name))
    services.wait_until_ready({name})


def test_a_rollback_outlives_its_scheduler_and_its_triggerer(
    demo: Demo, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow = demo.airflow
    run_id = airflow.trigger(DAG_ID, {"model": MODEL, "why": "the test says so"})

    def state(task_id: str) -> str:
        found = {task["task_id"]: task["state"] for task in airflow.tasks(DAG_ID, run_id)}
        return found.get(task_id) or ""

    killed = []
    server = processes.of_sessions([services.running()["serving"]])
    for step in ("choose", "verify", "move", "confirm", "evidence"):
        if step == "confirm":
            # Its server is down for a while, so that the task waits in the triggerer, which dies meanwhile.
            until(lambda: state("confirm") == "deferred", "confirm waits for the server")
            kill_and_start(services, "triggerer")
            killed.append("triggerer while confirm waits")
            services.start(services.by_name("serving"))
        until(lambda step=step: state(step) in ("success", "failed"), f"{step} ends")  # type: ignore[misc]
        assert state(step) == "success", step
        if step == "verify":
            for process in server:
                # A silent one, the task would ask for three minutes before it waits.
                process.send(signal.SIGKILL)
        kill_and_start(services, "scheduler")
        killed.append(f"scheduler after {step}")
    until(lambda: airflow.run(DAG_ID, run_id)["state"] in ("success", "failed"), "the run ends")
    with capsys.disabled():
        print(f"\nkilled: {', '.join(killed)}")
    assert airflow.run(DAG_ID, run_id)["state"] == "success"
    assert_rolled_back_once(demo)


def assert_rolled_back_once(demo: Demo) -> None:
    """See in registry, ledger and store that version 1 is back, by one move, with one evidence."""
    runtime = Runtime(store=demo.home.store.as_uri(), project="calm", tracking_uri=demo.home.mlflow_url)
    deps = Deps.from_runtime(runtime)
    registry = open_registry({"type": "mlflow"}, deps)
    model = registry.model(MODEL)
    assert model is not None
    assert model.aliases["champion"] == "1"
    assert [version.version for version in registry.versions(MODEL) if BAD_TAG in version.tags] == ["2"]
    moves = [(move.old_version, move.new_version) for move in Ledger(deps, MODEL).entries()]
    assert moves == [(None, "1"), ("1", "2"), ("2", "1")]
    assert len(deps.store.list(deps.store.folder("calm", "rollback"))) == 1

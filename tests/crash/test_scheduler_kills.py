"""kill -9 of scheduler and triggerer during a rollback under a running Airflow: once they are back, it goes on."""

from __future__ import annotations

import json
import random
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
from demo.home import USER
from demo.services import Services
from tests.crash.customers import write_customers
from tests.e2e.running import SMALL_PIPELINE, Demo
from tests.services.airflow import RestAirflow
from tests.services.posts import Posts, received_posts

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(1800)]
MODEL = "calm_model"
DAG_ID = "aimass_rollback"
# What the second version is: another model, whatever its quality.
WORSE = {
    "train": {"models": [{"type": "decision_tree", "max_depth": 1}]},
    "optimize": {"trials": 1},
    "release": {"gate": {"max_drop": 1.0}},
}
# Whoever watches the model is told of its rollback.
WATCH = f"""
model: {MODEL}
schedule: null
notify: [{{type: apprise, conn_id: chat}}]
rules: [{{name: rows, metric: rows, below: 1, why: a test}}]
"""
BOUNDARIES = ("choose", "verify", "move", "confirm waits", "confirm", "evidence")
VICTIMS = (("scheduler",), ("triggerer",), ("scheduler", "triggerer"))
LONGEST_S = 300.0
POLL_S = 0.1


@pytest.fixture(scope="module")
def posts() -> Iterator[Posts]:
    """Where notices arrive."""
    with received_posts() as found:
        yield found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, posts: Posts) -> Iterator[Demo]:
    """A demo with two versions of a watched model, the second of them in use and served."""
    base = tmp_path_factory.mktemp("scheduler")
    (base / "pipelines").mkdir()
    write_customers(base / "customers.csv")
    text = SMALL_PIPELINE.format(name="calm", csv=(base / "customers.csv").as_uri())
    (base / "pipelines" / "calm.yaml").write_text(text)
    found = Demo(base / "demo", base / "pipelines", port_offset=4000)
    found.home.alerts.mkdir(parents=True)
    (found.home.alerts / f"{MODEL}.yaml").write_text(WATCH)
    try:
        for conf in ({}, WORSE):
            ran = found.run("calm", json.dumps(conf))
            assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr
        airflow = RestAirflow(found.home.airflow_url, USER, found.home.secrets["password"])
        channel = {"config": {"path": f"json://127.0.0.1:{posts.port}/"}}
        airflow.connect("chat", "apprise", extra=json.dumps(channel))
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


def kill_and_start(services: Services, names: tuple[str, ...]) -> None:
    """Send SIGKILL to services' first processes, and start them again as a supervisor of services would."""
    running = services.running()
    for name in names:
        running[name].send(signal.SIGKILL)
    until(lambda: not services.running().keys() & set(names), f"{' and '.join(names)} are dead")
    for name in names:
        services.start(services.by_name(name))
    services.wait_until_ready(set(names))


def drawn_victims(seed: int) -> dict[str, tuple[str, ...]]:
    """Draw who dies at each boundary: each of the two somewhere, and the triggerer where something waits in it."""
    generator = random.Random(seed)
    while True:
        drawn = {boundary: generator.choice(VICTIMS) for boundary in BOUNDARIES}
        if "triggerer" in drawn["confirm waits"] and any("scheduler" in names for names in drawn.values()):
            return drawn


def test_a_rollback_outlives_its_scheduler_and_its_triggerer(
    demo: Demo, services: Services, posts: Posts, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow = demo.airflow
    victims = drawn_victims(request.config.getoption("--crash-seed"))
    with capsys.disabled():
        print("".join(f"\nkilled at {where!r}: {' and '.join(names)}" for where, names in victims.items()))
    run_id = airflow.trigger(DAG_ID, {"model": MODEL, "why": "the test says so"})

    def state(task_id: str) -> str:
        found = {task["task_id"]: task["state"] for task in airflow.tasks(DAG_ID, run_id)}
        return found.get(task_id) or ""

    server = processes.of_sessions([services.running()["serving"]])
    for boundary in BOUNDARIES:
        step = boundary.partition(" ")[0]
        if boundary == "confirm waits":
            # Its server is down for a while, so that the task waits in the triggerer.
            until(lambda: state("confirm") == "deferred", "confirm waits for the server")
        else:
            until(lambda step=step: state(step) in ("success", "failed"), f"{step} ends")  # type: ignore[misc]
            assert state(step) == "success", step
        if boundary == "verify":
            for process in server:
                # A silent one, the task would ask for three minutes before it waits.
                process.send(signal.SIGKILL)
        kill_and_start(services, victims[boundary])
        if boundary == "confirm waits":
            services.start(services.by_name("serving"))
    until(lambda: airflow.run(DAG_ID, run_id)["state"] in ("success", "failed"), "the run ends")
    assert airflow.run(DAG_ID, run_id)["state"] == "success"
    until(lambda: posts.received, "the notice arrives")
    assert_rolled_back_once(demo)
    (notice,) = posts.received
    assert f"champion of {MODEL} went back from version 2 to version 1" in notice["message"]


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

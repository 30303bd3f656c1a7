"""From nothing to a running Airflow that knows its DAGs."""

from __future__ import annotations

import time
from typing import Any

from demo import machine
from demo.errors import DemoError
from demo.home import REPOSITORY, Home
from demo.rest import Airflow
from demo.services import LATE, NEEDED, STORY, Services

SETTINGS_FILE = REPOSITORY / "airflow_settings.yaml"
PARSE_TIMEOUT_S = 90.0
# Once other DAGs are known, a new file is seen after two rounds of the dag-processor at most.
REFRESH_TIMEOUT_S = 45.0
POLL_S = 0.3


def start(home: Home) -> None:
    """Bring every service up; those that run already stay as they are."""
    with home.locked():
        _start(home, Services(home))


def _start(home: Home, services: Services) -> None:
    running = services.running()
    if running.keys() >= set(NEEDED):
        services.wait_until_ready(set(NEEDED))
        say("everything runs already")
        return
    if running:
        say(f"only {', '.join(sorted(running))} still ran: starting anew")
        services.stop()
    started = time.monotonic()
    home.prepare()
    machine.check(home.folder)
    for sentence in home.choose_ports():
        say(sentence)
    home.write_password()
    try:
        _start_services(services)
    except BaseException:
        services.stop()
        raise
    say(f"everything runs after {time.monotonic() - started:.1f} s")


def _start_services(services: Services) -> None:
    say(f"starting MLflow at {services.home.mlflow_url} and Airflow at {services.home.airflow_url}")
    services.start(services.by_name(NEEDED[0]))
    services.migrate()
    for name in NEEDED[1:]:
        services.start(services.by_name(name))
    services.apply_settings(SETTINGS_FILE)
    services.wait_until_ready(set(NEEDED))


def start_late(services: Services) -> None:
    """Start the triggerer and the inference server, unless they run."""
    with services.home.locked():
        for name in LATE:
            if name not in services.running():
                services.start(services.by_name(name))


def start_story(services: Services) -> bool:
    """Start the story in the background, unless it has been told in this folder; return whether it runs now."""
    with services.home.locked():
        if STORY not in services.running() and not services.log(STORY).exists():
            services.start(services.by_name(STORY))
        return STORY in services.running()


def wait_for_dag(airflow: Airflow, dag_id: str) -> list[str]:
    """Wait until Airflow has read the DAG; return its task ids in the order in which they run."""
    deadline = time.monotonic() + PARSE_TIMEOUT_S
    known: set[str] = set()
    while (dag := airflow.get("dags", dag_id)) is None:
        if time.monotonic() > deadline:
            raise _no_dag(airflow, dag_id, known)
        seen = {each["dag_id"] for each in airflow.get("dags")["dags"]}
        if seen and not known:
            deadline = min(deadline, time.monotonic() + REFRESH_TIMEOUT_S)
        known = seen
        time.sleep(POLL_S)
    if any(tag["name"] == "broken" for tag in dag["tags"]):
        raise DemoError(f"The pipeline of {dag_id} cannot be read:\n{airflow.get('dags', dag_id, 'details')['doc_md']}")
    if dag["is_paused"]:
        airflow.unpause(dag_id)
    return in_order(airflow.get("dags", dag_id, "tasks")["tasks"])


def _no_dag(airflow: Airflow, dag_id: str, known: set[str]) -> DemoError:
    problems = airflow.get("importErrors")["import_errors"]
    seen = "; ".join(f"{each['filename']}: {each['stack_trace'].strip().splitlines()[-1]}" for each in problems)
    return DemoError(
        f"Airflow has no DAG {dag_id}. Known: {', '.join(sorted(known)) or 'none'}. Import errors: {seen or 'none'}. "
        "Is there an include/pipelines/*.yaml of that name?"
    )


def in_order(tasks: list[dict[str, Any]]) -> list[str]:
    """Return task ids so that each stands after all that it waits for; ties by name."""
    waits: dict[str, set[str]] = {task["task_id"]: set() for task in tasks}
    for task in tasks:
        for after in task["downstream_task_ids"]:
            waits[after].add(task["task_id"])
    ordered: list[str] = []
    while waits:
        ready = min(task_id for task_id, before in waits.items() if before <= set(ordered))
        ordered.append(ready)
        del waits[ready]
    return ordered


def say(text: str) -> None:
    """Tell the person at the terminal one thing."""
    print(f"demo: {text}", flush=True)

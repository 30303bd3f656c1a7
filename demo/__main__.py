"""`python -m demo run|up|down|status`: what `make demo`, `make up` and `make down` call."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from demo import machine, summary
from demo.errors import DemoError
from demo.home import REPOSITORY, USER, Home
from demo.progress import watch
from demo.rest import Airflow
from demo.services import Services

SETTINGS_FILE = REPOSITORY / "airflow_settings.yaml"
PARSE_TIMEOUT_S = 90.0
POLL_S = 0.3
NEEDED = ("mlflow", "api-server", "scheduler", "dag-processor")
# Wanted by deferrable tasks only, of which our local pipelines have none: it starts when it no longer slows the rest.
LATE = "triggerer"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args(arguments)
    home = Home(folder=options.folder.resolve(), dags=options.dags.resolve())
    command: Callable[[Home, argparse.Namespace], None] = options.command
    try:
        with home.locked():
            command(home, options)
    except DemoError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. What was started still runs: `make down` stops it.", file=sys.stderr)
        return 130
    return 0


def run(home: Home, options: argparse.Namespace) -> None:
    """Start what does not run, run the pipeline, and report what came out."""
    conf = _conf(options.conf)
    _start(home)
    airflow = Airflow(home.airflow_url, USER, home.secrets["password"])
    dag_id = f"aimass_{options.pipeline}"
    order = _wait_for_dag(airflow, dag_id)
    run_id = airflow.trigger(dag_id, conf)
    _say(f"{dag_id} runs: {home.airflow_url}/dags/{dag_id}/runs/{run_id}")
    services = Services(home)
    outcome = watch(airflow, services, dag_id, run_id, order)
    _start_late(services)
    summary.report(home, dag_id, outcome)


def up(home: Home, options: argparse.Namespace) -> None:
    """Start what does not run and say where it is."""
    _start(home)
    _start_late(Services(home))
    summary.print_access(home)


def down(home: Home, options: argparse.Namespace) -> None:
    """Stop everything that the demo started."""
    stopped = Services(home).stop()
    print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


def status(home: Home, options: argparse.Namespace) -> None:
    """Say which services run and where; fail when one is missing."""
    running = Services(home).running()
    for name in NEEDED:
        print(f"{name:<14} {f'runs, pid {running[name].pid}' if name in running else 'does not run'}")
    if missing := [name for name in NEEDED if name not in running]:
        raise DemoError(f"Not running: {', '.join(missing)}. `make up` starts what is missing.")
    summary.print_access(home)


def _start(home: Home) -> None:
    """Bring every service up; those that run already stay as they are."""
    services = Services(home)
    running = services.running()
    if running.keys() >= set(NEEDED):
        services.wait_until_ready(set(NEEDED))
        _say("everything runs already")
        return
    if running:
        _say(f"only {', '.join(sorted(running))} still ran: starting anew")
        services.stop()
    started = time.monotonic()
    home.prepare()
    machine.check(home.folder)
    for sentence in home.choose_ports():
        _say(sentence)
    home.write_password()
    try:
        _start_services(services)
    except BaseException:
        services.stop()
        raise
    _say(f"everything runs after {time.monotonic() - started:.1f} s")


def _start_services(services: Services) -> None:
    by_name = {service.name: service for service in services.known()}
    _say(f"starting MLflow at {services.home.mlflow_url} and Airflow at {services.home.airflow_url}")
    services.start(by_name[NEEDED[0]])
    services.migrate()
    for name in NEEDED[1:]:
        services.start(by_name[name])
    services.apply_settings(SETTINGS_FILE)
    services.wait_until_ready(set(NEEDED))


def _start_late(services: Services) -> None:
    if LATE not in services.running():
        services.start(next(service for service in services.known() if service.name == LATE))


def _wait_for_dag(airflow: Airflow, dag_id: str) -> list[str]:
    """Wait until Airflow has read the DAG; return its task ids in the order in which they run."""
    deadline = time.monotonic() + PARSE_TIMEOUT_S
    while (dag := airflow.get("dags", dag_id)) is None:
        if time.monotonic() > deadline:
            problems = airflow.get("importErrors")["import_errors"]
            seen = "; ".join(f"{each['filename']}: {each['stack_trace'].strip().splitlines()[-1]}" for each in problems)
            raise DemoError(
                f"Airflow has no DAG {dag_id} after {PARSE_TIMEOUT_S:.0f} s. "
                f"Import errors: {seen or 'none'}. Is there an include/pipelines/*.yaml of that name?"
            )
        time.sleep(POLL_S)
    if any(tag["name"] == "broken" for tag in dag["tags"]):
        raise DemoError(f"The pipeline of {dag_id} cannot be read:\n{airflow.get('dags', dag_id, 'details')['doc_md']}")
    if dag["is_paused"]:
        airflow.unpause(dag_id)
    return _in_order(airflow.get("dags", dag_id, "tasks")["tasks"])


def _in_order(tasks: list[dict[str, Any]]) -> list[str]:
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


def _conf(text: str) -> dict[str, Any]:
    try:
        conf = json.loads(text)
    except ValueError as error:
        raise DemoError(f"--conf is not JSON: {error}. Expected an object, such as '{{\"seed\": 2}}'.") from None
    if not isinstance(conf, dict):
        raise DemoError(f"--conf is a {type(conf).__name__}. Expected a JSON object, such as '{{\"seed\": 2}}'.")
    return conf


def _say(text: str) -> None:
    print(f"demo: {text}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=REPOSITORY / ".aimass", help="where everything is kept (default: %(default)s)"
    )
    parser.add_argument(
        "--dags", type=Path, default=REPOSITORY / "dags", help="Airflow's folder of DAG files (default: %(default)s)"
    )
    commands = parser.add_subparsers(required=True, metavar="run|up|down|status")
    for command in (run, up, down, status):
        added = commands.add_parser(command.__name__, help=command.__doc__, description=command.__doc__)
        added.set_defaults(command=command)
        if command is run:
            added.add_argument("--pipeline", default="flights", help="name of the pipeline (default: %(default)s)")
            added.add_argument("--conf", default="{}", help="the run's conf, a JSON object (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`python -m demo run|up|story|down|status`: what `make demo`, `make up` and `make down` call."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from demo import summary
from demo.errors import DemoError
from demo.home import REPOSITORY, USER, Home
from demo.progress import watch
from demo.rest import Airflow
from demo.services import LATE, NEEDED, Services
from demo.startup import say, start, start_late, start_story, wait_for_dag
from demo.story import Story

FLIGHTS = "flights"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args(arguments)
    home = Home(folder=options.folder.resolve(), dags=options.dags.resolve(), port_offset=options.port_offset)
    command: Callable[[Home, argparse.Namespace], None] = options.command
    try:
        command(home, options)
    except (DemoError, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. What was started still runs: `make down` stops it.", file=sys.stderr)
        return 130
    return 0


def run(home: Home, options: argparse.Namespace) -> None:
    """Start what does not run, run the pipeline, and report what came out."""
    conf = _conf(options.conf)
    start(home)
    airflow = Airflow(home.airflow_url, USER, home.secrets["password"])
    dag_id = f"aimass_{options.pipeline}"
    order = wait_for_dag(airflow, dag_id)
    run_id = airflow.trigger(dag_id, conf)
    say(f"{dag_id} runs: {home.airflow_url}/dags/{dag_id}/runs/{run_id}")
    services = Services(home)
    outcome = watch(airflow, services, dag_id, run_id, order)
    start_late(services)
    summary.report(home, dag_id, outcome)
    if options.pipeline == FLIGHTS and not conf and not options.no_story and start_story(services):
        summary.print_story(home)


def up(home: Home, options: argparse.Namespace) -> None:
    """Start what does not run and say where it is."""
    start(home)
    start_late(Services(home))
    summary.print_access(home)


def story(home: Home, options: argparse.Namespace) -> None:
    """Serve, improve, corrupt and recover the released model; `run` starts this in the background."""
    Story.of(home).tell()


def down(home: Home, options: argparse.Namespace) -> None:
    """Stop everything that the demo started."""
    with home.locked():
        stopped = Services(home).stop()
    print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


def status(home: Home, options: argparse.Namespace) -> None:
    """Say which services run and where; fail when one is missing."""
    running = Services(home).running()
    for name in (*NEEDED, *LATE):
        print(f"{name:<14} {f'runs, pid {running[name].pid}' if name in running else 'does not run'}")
    if missing := [name for name in NEEDED if name not in running]:
        raise DemoError(f"Not running: {', '.join(missing)}. `make up` starts what is missing.")
    summary.print_access(home)
    summary.print_story(home)


def _conf(text: str) -> dict[str, Any]:
    try:
        conf = json.loads(text)
    except ValueError as error:
        raise DemoError(f"--conf is not JSON: {error}. Expected an object, such as '{{\"seed\": 2}}'.") from None
    if not isinstance(conf, dict):
        raise DemoError(f"--conf is a {type(conf).__name__}. Expected a JSON object, such as '{{\"seed\": 2}}'.")
    return conf


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=REPOSITORY / ".aimass", help="where everything is kept (default: %(default)s)"
    )
    parser.add_argument(
        "--dags", type=Path, default=REPOSITORY / "dags", help="Airflow's folder of DAG files (default: %(default)s)"
    )
    parser.add_argument(
        "--port-offset", type=int, default=0, help="added to every preferred port: for several demos on one machine"
    )
    commands = parser.add_subparsers(required=True, metavar="run|up|story|down|status")
    for command in (run, up, story, down, status):
        added = commands.add_parser(command.__name__, help=command.__doc__, description=command.__doc__)
        added.set_defaults(command=command)
        if command is run:
            added.add_argument("--pipeline", default=FLIGHTS, help="name of the pipeline (default: %(default)s)")
            added.add_argument("--conf", default="{}", help="the run's conf, a JSON object (default: %(default)s)")
            added.add_argument("--no-story", action="store_true", help="do not go on with serving once it is released")
    return parser


if __name__ == "__main__":
    sys.exit(main())

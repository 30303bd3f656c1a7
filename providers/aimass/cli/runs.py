"""`airflow aimass pipeline run|status`."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aimass.cli.console import Exit, command, complain, say, say_json, table
from aimass.cli.rest import AirflowApi, connect
from aimass.core.errors import ConfigError, NotAllowedError, NotFoundError, UnreachableError, from_os_error
from aimass.pipelines.document import DocumentError, parse_document
from aimass.pipelines.model import DAG_PREFIX

POLL_S = 1.0
PATIENCE = 10
ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}


@command
def run(args: Namespace) -> Exit:
    """Start a run, print each task's progress, and end as the run ends."""
    run_conf = read_conf(args.conf)
    api = connect(args.url, args.user)
    dag_id = _dag_id(args.name)
    if _is_paused(api, dag_id):
        raise NotAllowedError(f"{dag_id} is paused: its run would wait for ever", hint=f"airflow dags unpause {dag_id}")
    run_id = api.trigger(dag_id, run_conf)
    if not args.json:
        say(f"{dag_id} {run_id}")
    if not args.no_wait:
        _follow(api, dag_id, run_id, quiet=args.json)
    return _tell(api, dag_id, run_id, as_json=args.json, started_only=args.no_wait)


@command
def status(args: Namespace) -> Exit:
    """Print the tasks of a run."""
    api = connect(args.url, args.user)
    dag_id = _dag_id(args.name)
    run_id = args.run_id or api.last_run(dag_id)["dag_run_id"]
    return _tell(api, dag_id, run_id, as_json=args.json)


def read_conf(text: str | None) -> dict[str, Any]:
    """Return the conf given as JSON, or as @file with JSON or YAML."""
    if not text:
        return {}
    try:
        content = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
        found = _json_or_yaml(content)
    except OSError as error:
        raise from_os_error(error, doing="reading the conf") from error
    except DocumentError as error:
        raise ConfigError(f"The conf {error}", expected='JSON such as {"train": {"seed": 7}}, or @file') from None
    if not isinstance(found, dict):
        raise ConfigError(f"The conf is {found!r}"[:200], expected="a mapping of sections")
    return found


def _json_or_yaml(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return parse_document(text).content


def _dag_id(name: str) -> str:
    return name if name.startswith(DAG_PREFIX) else DAG_PREFIX + name


def _is_paused(api: AirflowApi, dag_id: str) -> bool:
    try:
        return api.is_paused(dag_id)
    except NotFoundError:
        raise NotFoundError(
            f"Airflow has no DAG {dag_id}",
            hint="Check the name; a new file is found within [dag_processor] refresh_interval",
        ) from None


def _follow(api: AirflowApi, dag_id: str, run_id: str, *, quiet: bool) -> None:
    """Print what changes until the run ends; a server that is busy for a while is asked again."""
    shown: dict[tuple[str, int], tuple[str, str]] = {}
    patience = PATIENCE
    while True:
        try:
            # The state first: when the run has ended, its tasks have told everything.
            ended = api.run(dag_id, run_id)["state"] in ("success", "failed")
            _print_changes(api, api.tasks(dag_id, run_id), shown, quiet=quiet)
            patience = PATIENCE
        except UnreachableError:
            patience -= 1
            if not patience:
                raise
            ended = False
        if ended:
            return
        time.sleep(POLL_S)


def _print_changes(
    api: AirflowApi, tasks: list[dict[str, Any]], shown: dict[tuple[str, int], tuple[str, str]], *, quiet: bool
) -> None:
    for task in tasks:
        key = (task["task_id"], task["map_index"])
        now = (task["state"] or "", api.progress(task) if task["state"] == "running" else "")
        if now != shown.get(key) and now[0] in ENDED | {"running", "up_for_retry"} and not quiet:
            say(f"{_label(task):<28} {now[0]:<16} {now[1]}".rstrip())
        shown[key] = now


def _tell(api: AirflowApi, dag_id: str, run_id: str, *, as_json: bool, started_only: bool = False) -> Exit:
    """Print the run as it stands; return the exit code that tells its state."""
    state = api.run(dag_id, run_id)["state"]
    tasks = api.tasks(dag_id, run_id)
    if as_json:
        say_json(
            {"dag_id": dag_id, "run_id": run_id, "state": state, "tasks": [_document(api, task) for task in tasks]}
        )
    elif not started_only:
        table(["task", "state", "seconds", "result"], [_row(api, task) for task in tasks])
        say(f"{dag_id} {run_id}: {state}")
    for task in tasks:
        if task["state"] == "failed":
            complain(f"{_label(task)}: {api.error(task) or 'failed without a message; see its log'}")
    if started_only:
        return Exit.OK
    return {"success": Exit.OK, "failed": Exit.FAILED}.get(state, Exit.LATER)


def _row(api: AirflowApi, task: Mapping[str, Any]) -> list[str]:
    result = api.result(task) if task["state"] == "success" else None
    seconds = f"{task['duration']:.1f}" if task.get("duration") else ""
    return [_label(task), task["state"] or "waiting", seconds, _outcome(result)]


def _outcome(result: Any) -> str:
    """Return a stage's result in a few words."""
    if not isinstance(result, dict):
        return ""
    words = ["reused"] if result.get("reused") else []
    for name in ("rows", "best", "version", "alias"):
        value = result.get(name)
        if isinstance(value, (int, str)) and not isinstance(value, bool):
            words.append(f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}")
    return ", ".join(words)


def _document(api: AirflowApi, task: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: task[name] for name in ("task_id", "map_index", "state", "try_number", "duration")}
    return {**shown, "result": json.loads(json.dumps(api.result(task), default=str))}


def _label(task: Mapping[str, Any]) -> str:
    name = task.get("rendered_map_index") or (task["map_index"] if task["map_index"] >= 0 else "")
    return f"{task['task_id']}[{name}]" if name != "" else str(task["task_id"])

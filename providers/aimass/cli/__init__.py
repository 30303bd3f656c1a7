"""`airflow aimass …`: the one command line. Only names and help stand here; a command is imported when it is called."""

from __future__ import annotations

from typing import Any

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand, lazy_load_command


def _arg(name: str, **options: Any) -> Arg:
    return Arg((name,), **options)  # type: ignore[no-untyped-call]


_PIPELINES = _arg(
    "--pipelines", help="folder of pipeline files; by default the option aimass.pipelines_dir, or include/pipelines"
)
_JSON = _arg("--json", help="print JSON instead of text", action="store_true")
_NAME = _arg("name", help="name of the pipeline")
_URL = _arg("--url", help="Airflow's address ; by default AIMASS_API_URL, or the options aimass.api_url, api.base_url")
_USER = _arg("--user", help="user (AIMASS_API_USER); the password is read from AIMASS_API_PASSWORD or asked for")
_LOGIN = (_URL, _USER)


def get_cli_commands() -> list[CLICommand]:
    """Return the commands, for Airflow's provider manager."""
    return [
        GroupCommand(
            name="aimass",
            help="Machine-learning pipelines of AI Mass",
            subcommands=(_init(), _source(), _pipeline(), _monitor(), _serve(), _replay(), _settings(), _gc()),
        )
    ]


def _command(name: str, help_text: str, module: str, args: tuple[Arg, ...], description: str = "") -> ActionCommand:
    function = name.replace("-", "_")
    return ActionCommand(
        name=name,
        help=help_text,
        description=description or f"{help_text[0].upper()}{help_text[1:]}.",
        func=lazy_load_command(f"aimass.cli.{module}.{function}"),
        args=args,
    )


def _init() -> ActionCommand:
    return _command(
        "init",
        "add the DAG file and sample pipelines to an Airflow that you run already",
        "scaffold",
        (
            _arg("dir", help="Airflow's home: dags/ and include/pipelines/ are made in it"),
            _arg("--force", help="overwrite files that are there", action="store_true"),
        ),
    )


def _source() -> GroupCommand:
    what = (
        _arg(
            "what",
            help="YAML file of a pipeline, of a configuration of ingest or of a source; connection id; or data file",
        ),
        _arg(
            "settings",
            metavar="SETTING=VALUE",
            help="settings of the source that a connection or a data file needs, such as table=orders; values are YAML",
            nargs="*",
        ),
    )
    rows = _arg("--rows", help="how many rows (default: 5)", type=int, default=5)
    return GroupCommand(
        name="source",
        help="Sources of data: whether they can be read, and what they hold",
        subcommands=(
            _command(
                "check",
                "ask sources what they would give; exit code 1 when one cannot be read, 3 when no server answers",
                "sources",
                (*what, _JSON),
                "Ask sources what they would give: whether the server answers, what is to be read is there and may be "
                "read, and which columns and types it has. A connection without settings is tested, no more. No secret "
                "is printed.",
            ),
            _command("sample", "print the first rows of sources, column by column", "sources", (*what, rows, _JSON)),
        ),
    )


def _pipeline() -> GroupCommand:
    new = (
        _arg("--source", help="file, pattern or URI of the base table", required=True),
        _arg("--target", help="column to predict, or an SQL condition", required=True),
        _arg("--name", help="name of the pipeline; by the source's when left out"),
        _arg("--output", help="file to write; <pipelines>/<name>.yaml when left out, - for the terminal"),
        _arg("--force", help="overwrite a file that is there", action="store_true"),
        _PIPELINES,
    )
    run = (
        _NAME,
        _arg("--conf", help="sections that override the file's: JSON, or @file with JSON or YAML"),
        _arg("--no-wait", help="return once the run has started", action="store_true"),
        _JSON,
        *_LOGIN,
    )
    status = (_NAME, _arg("--run-id", help="which run; the last one when left out"), _JSON, *_LOGIN)
    return GroupCommand(
        name="pipeline",
        help="Make, check, run and follow pipelines",
        subcommands=(
            _command("new", "write a commented pipeline file for a table", "new_pipeline", new),
            _command("list", "list the pipeline files", "pipelines", (_PIPELINES, _JSON)),
            _command(
                "validate",
                "check pipeline files; exit code 1 when one is broken",
                "pipelines",
                (_arg("name", help="pipelines or files; all when left out", nargs="*"), _PIPELINES, _JSON),
            ),
            _command("run", "start a pipeline in Airflow and follow it; exit code 1 when it fails", "runs", run),
            _command("status", "show a run's tasks; exit code 1 when it failed, 3 while it runs", "runs", status),
        ),
    )


def _serve() -> ActionCommand:
    return _command(
        "serve",
        "serve released models over REST and gRPC until SIGTERM",
        "serve",
        _server_options(),
        "Serve released models over REST and gRPC until SIGTERM. Store and tracking server are those of Airflow's "
        "connections unless options or the file name others. The same as `python -m aimass.serving`.",
    )


def _replay() -> ActionCommand:
    from aimass.serving.options import REPLAY_FIELDS

    return _command(
        "replay",
        "answer a logged request anew; exit code 1 when it is another answer",
        "serve",
        (
            _arg("request_id", help="the request, as the header X-Request-Id named it"),
            _arg("--model", help="its model; all are searched when left out"),
            *_server_options(REPLAY_FIELDS),
        ),
        "Find a request in the prediction log, run the same bytes of the model on the same rows, and say whether the "
        "answer has the same bits. Exit code 0: it has, or is as close as another machine's is (1e-6, the same "
        "labels); 1: it is another answer. Store and tracking server are those of Airflow's connections unless options "
        "or the file name others.",
    )


def _server_options(fields: tuple[str, ...] = ()) -> tuple[Arg, ...]:
    from aimass.serving.options import options

    return (
        _arg("--config", help="YAML file with the options below, by their names with underscores"),
        *(_arg(option.flag, dest=option.field, help=option.help) for option in options(fields)),
    )


def _monitor() -> GroupCommand:
    check = (
        _arg("name", help="watch files, or models; all when left out", nargs="*"),
        _arg("--alerts", help="folder of watch files; by default the option aimass.alerts_dir, or include/alerts"),
        _JSON,
    )
    return GroupCommand(
        name="monitor",
        help="Watch files: how models in use are watched",
        subcommands=(_command("check", "check watch files; exit code 1 when one is broken", "monitors", check),),
    )


def _settings() -> GroupCommand:
    return GroupCommand(
        name="settings",
        help="Connections, pools and variables from airflow_settings.yaml",
        subcommands=(
            _command(
                "apply",
                "make Airflow's connections, pools and variables as the file says; needs no Astro CLI",
                "settings",
                (_arg("file", help="the file (Astro format)", nargs="?", default="airflow_settings.yaml"),),
            ),
        ),
    )


def _gc() -> ActionCommand:
    return _command(
        "gc",
        "list what may go from the store: orphan parts, unreferenced outputs, notes of old runs",
        "garbage",
        (
            _arg("--delete", help="delete it; without this, nothing is touched", action="store_true"),
            _arg("--keep-days", help="keep what runs of so many days used (default: 30)", type=float, default=30.0),
            _arg(
                "--in-flight-hours",
                help="never touch bytes younger than this: a task may be writing them (default: 48)",
                type=float,
                default=48.0,
            ),
            _arg(
                "--store", help="root of the store; by default the connection aimass_store, or the option aimass.store"
            ),
            _JSON,
        ),
        "List what may go from the store. Releases and what they were made from are never touched. Deleting costs at "
        "most work: a stage whose output is gone makes it anew.",
    )

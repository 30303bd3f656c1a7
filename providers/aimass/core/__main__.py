"""The door: run one stage without Airflow, in a pod, a Spark job, an MPI rank or a terminal.

``python -m aimass.core <stage> --config x.yaml``: progress goes to standard error, the result as one JSON document to
standard output and nothing else does. Exit code 0: done; 1: do not retry (bad configuration or data); 75: try again
later (EX_TEMPFAIL); 143: stopped by SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn

from aimass.core.deps import Deps, Runtime
from aimass.core.errors import AimassError, ConfigError, TransientError, from_os_error
from aimass.core.failpoints import Failpoints, NoFailpoints
from aimass.core.fields import describe_fields
from aimass.core.progress import StreamProgress
from aimass.core.settings import parse_settings
from aimass.core.stages import STAGES
from aimass.core.stages.base import Stage

TERMINAL = 1
TRANSIENT = os.EX_TEMPFAIL
TERMINATED = 128 + signal.SIGTERM
DEFAULT_STORE = "./aimass-store"


def main(arguments: Sequence[str] | None = None, *, failpoints: Failpoints | None = None) -> int:
    """Run the command line and return the exit code; `failpoints` is for crash tests."""
    options = None
    try:
        options = _parse(list(sys.argv[1:] if arguments is None else arguments))
        with _json_alone_on_stdout() as answer:
            answer.write(_run(options, failpoints or NoFailpoints()) + "\n")
    except Exception as error:
        if options is not None and options.debug:
            raise
        return _fail(error)
    return 0


def _run(options: argparse.Namespace, failpoints: Failpoints) -> str:
    stage: Stage[Any, Any] = STAGES.load(options.stage)
    if options.schema:
        return json.dumps(stage.config.model_json_schema(), indent=2)
    if options.config is None:
        raise ConfigError("--config is missing", expected="a YAML or JSON file, or - for standard input")
    config = stage.parse(_document(options.config))
    progress = StreamProgress(as_json=options.progress == "json")
    deps = Deps.from_runtime(_runtime(options), progress=progress, failpoints=failpoints)
    return json.dumps(stage.run(config, deps).model_dump(mode="json"), ensure_ascii=False)


def _runtime(options: argparse.Namespace) -> Runtime:
    """Return the file's runtime, with the options of the command line over it."""
    given = {
        "store": options.store,
        "project": options.project,
        "run_id": options.run_id,
        "tracking_uri": options.tracking_uri,
    }
    document = _document(options.runtime) if options.runtime else {}
    # A new run by default: it reads its sources as they stand now.
    defaults = {"store": DEFAULT_STORE, "run_id": f"manual-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"}
    merged = defaults | document | {name: value for name, value in given.items() if value is not None}
    return parse_settings(Runtime, merged, where=options.runtime or "the command line")


def _document(path: str) -> dict[str, Any]:
    """Read a mapping from a YAML or JSON file (JSON is YAML), or from standard input."""
    import yaml

    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
        found = yaml.safe_load(text)
    except OSError as error:
        raise from_os_error(error, doing="reading the configuration") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is neither YAML nor JSON: {' '.join(str(error).split())}", path=path) from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} holds a {type(found).__name__}", expected="a mapping of fields", path=path)
    return found


def _fail(error: Exception) -> int:
    line = str(error) if isinstance(error, AimassError) else f"{type(error).__name__}: {error}"
    hint = "" if isinstance(error, AimassError) else " (this is a defect of AI Mass; --debug shows where)"
    sys.stderr.write(f"error: {' '.join(line.split())}{hint}\n")
    return TRANSIENT if isinstance(error, TransientError) else TERMINAL


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stderr.write("stopped by SIGTERM; what was finished stays for the next attempt\n")
    raise SystemExit(TERMINATED)


@contextmanager
def _json_alone_on_stdout() -> Iterator[IO[str]]:
    """Yield the real standard output, while everything that libraries print goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w") as answer:
            yield answer
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


class _Parser(argparse.ArgumentParser):
    """A parser whose mistakes are ConfigErrors, with their exit code."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of leaving."""
        raise ConfigError(f"{self.prog}: {message}", hint=f"See {self.prog} --help")


def _parse(arguments: list[str]) -> argparse.Namespace:
    stage = next((word for word in arguments if word in STAGES.names()), None)
    parser = _Parser(
        prog="python -m aimass.core",
        description="Run one stage of a pipeline.",
        epilog=_fields(stage)
        if stage and {"-h", "--help"} & set(arguments)
        else f"Stages: {', '.join(STAGES.names())}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage", metavar="stage", type=_stage, help="the verb, such as ingest")
    parser.add_argument(
        "--config", metavar="FILE", help="the stage's configuration: YAML, JSON, or - for standard input"
    )
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of the configuration and stop")
    parser.add_argument("--runtime", metavar="FILE", help="store, project, tracking and the like: YAML or JSON")
    parser.add_argument("--store", metavar="URI", help=f"where outputs are written (default {DEFAULT_STORE})")
    parser.add_argument("--project", metavar="NAME", help="the pipeline that outputs belong to")
    parser.add_argument("--run-id", metavar="ID", help="the run under which source positions are pinned (default: new)")
    parser.add_argument("--tracking-uri", metavar="URI", help="the MLflow server or database")
    parser.add_argument("--progress", choices=["text", "json"], default="text", help="how progress is written")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser.parse_args(arguments)


def _stage(name: str) -> str:
    if name not in STAGES.names():
        STAGES.load(name)
    return name


def _fields(stage: str) -> str:
    config = STAGES.load(stage).config
    return f"Configuration of {stage}: {config.__doc__}\n\n" + "\n".join(describe_fields(config))


if __name__ == "__main__":
    # SIGTERM becomes an exception, so that staged files are dropped on the way out.
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main())

"""How commands speak: results on stdout, errors as one message on stderr, an exit code that tells."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import Any, ParamSpec

from aimass.core.errors import AimassError, TransientError

P = ParamSpec("P")
PROCESS_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"
"""Where it is not ``server``, Airflow looks for connections in the environment and in secrets backends alone."""


class Exit(IntEnum):
    """What a command's exit code says."""

    OK = 0
    FAILED = 1
    """What was asked about is not well: a run failed, a pipeline is broken."""
    REFUSED = 2
    """The command could not do it: wrong options, nothing there, not allowed."""
    LATER = 3
    """Not now: a server does not answer, a run has not ended."""


def command(function: Callable[P, Exit]) -> Callable[P, None]:
    """Make a command of `function`: its errors become messages, and what it returns the exit code."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with _among_servers():
                code = _silently(lambda: function(*args, **kwargs))
        except AimassError as error:
            complain(str(error))
            code = Exit.LATER if isinstance(error, TransientError) else Exit.REFUSED
        except KeyboardInterrupt:
            complain("interrupted")
            code = Exit.REFUSED
        if code is not Exit.OK:
            sys.exit(int(code))

    return run


@contextlib.contextmanager
def _among_servers() -> Iterator[None]:
    """Let hooks find the connections in Airflow's database; its own commands about connections do the same."""
    before = os.environ.get(PROCESS_CONTEXT)
    os.environ[PROCESS_CONTEXT] = "server"
    try:
        yield
    finally:
        if before is None:
            del os.environ[PROCESS_CONTEXT]
        else:
            os.environ[PROCESS_CONTEXT] = before


def _silently(function: Callable[[], Exit]) -> Exit:
    """Return what `function` returns; nothing is logged: Airflow logs to standard output, where results go."""
    from airflow.utils.cli import suppress_logs_and_warning

    found: list[Exit] = []
    suppress_logs_and_warning(lambda _: found.append(function()))(Namespace(verbose=False))
    return found[0]


def say(text: str = "") -> None:
    """Print a line of the result."""
    print(text, flush=True)


def say_json(document: Any) -> None:
    """Print the result as JSON."""
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def complain(text: str) -> None:
    """Print a line about what went wrong."""
    print(f"aimass: {text}", file=sys.stderr, flush=True)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print `rows` in aligned columns."""
    cells = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(header))]
    for row in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def human_bytes(size: int) -> str:
    """Return a size in a unit that people read."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} TiB"

"""How commands speak: results on stdout, errors as one message on stderr, an exit code that tells."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import Any, ParamSpec

from aimass.core.errors import AimassError, TransientError

P = ParamSpec("P")


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
            with _quiet() if getattr(args[0], "json", False) else contextlib.nullcontext():
                code = function(*args, **kwargs)
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
def _quiet() -> Iterator[None]:
    """Log nothing: Airflow logs to standard output, where a program expects JSON alone."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


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

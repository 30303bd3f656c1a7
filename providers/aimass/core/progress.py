"""How far a stage has come, told to whoever listens: a terminal, Airflow's log, or nobody."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import IO, Protocol


@dataclass(frozen=True)
class ProgressEvent:
    """One step of a stage.

    Attributes
    ----------
    step : str
        What is being done ("reading", "trial").
    done, total : float, optional
        Units finished and expected; `total` is None when nobody knows.
    unit : str
        "rows", "trials", "rounds" …
    message : str
        One line for people.
    """

    step: str
    done: float | None = None
    total: float | None = None
    unit: str = ""
    message: str = ""

    def text(self) -> str:
        """Return the event as one line for people."""
        if self.done is None:
            return f"{self.step}: {self.message}" if self.message else self.step
        share = f" of {self.total:,.0f}" if self.total else ""
        tail = f", {self.message}" if self.message else ""
        return f"{self.step}: {self.done:,.0f}{share} {self.unit}{tail}"


class Progress(Protocol):
    """Receives progress events; must never raise and never slow the work."""

    def report(self, event: ProgressEvent) -> None:
        """Take note of `event`."""


class SilentProgress:
    """Nobody listens."""

    def report(self, event: ProgressEvent) -> None:
        """Drop `event`."""


class StreamProgress:
    """Write events as lines to a text stream, at most one per step and `interval_s` seconds.

    Parameters
    ----------
    stream : text stream, optional
        Standard error by default, so that standard output stays JSON.
    interval_s : float
        Least time between two lines of the same step.
    as_json : bool
        One JSON object per line instead of text.
    """

    def __init__(self, stream: IO[str] | None = None, *, interval_s: float = 1.0, as_json: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._interval_s = interval_s
        self._as_json = as_json
        self._last: dict[str, float] = {}

    def report(self, event: ProgressEvent) -> None:
        """Write `event` unless the same step was written a moment ago; the last unit is always written."""
        now = time.monotonic()
        is_last = event.done is not None and event.done == event.total
        if not is_last and now - self._last.get(event.step, -self._interval_s) < self._interval_s:
            return
        self._last[event.step] = now
        line = json.dumps(asdict(event)) if self._as_json else event.text()
        print(line, file=self._stream, flush=True)

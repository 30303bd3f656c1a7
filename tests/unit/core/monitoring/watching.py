"""Windows and rules for the tests of alerts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aimass.core.monitoring.alerts import judge_window
from aimass.core.monitoring.judgement import Event, Judgement, Order, WatchState
from aimass.core.monitoring.observations import Observation
from aimass.core.monitoring.rules import Watch

START = datetime(2026, 4, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

BAD, BETWEEN, GOOD = 0.5, 0.25, 0.1
"""Values of `score_drift` that are bad, neither, and good for `watch`."""


def watch(*rules: dict[str, Any], **others: Any) -> Watch:
    """Return a watch file whose rules start from one that rolls back where `score_drift` is above 0.3."""
    base = {"name": "drift", "metric": "score_drift", "above": 0.3, "clear": 0.2, "action": "rollback"}
    return Watch.model_validate({"model": "late", "rules": [{**base, **rule} for rule in rules or ({},)], **others})


def window(index: int, value: float | None, *, version: str | None = "2", **metrics: float) -> Observation:
    """Return the window number `index`."""
    found = {**metrics, **({"score_drift": value} if value is not None else {})}
    start = START + index * HOUR
    return Observation(start=start, end=start + HOUR, version=version, metrics=found, source=f"window-{index}")


class Walk:
    """Judges windows one after the other.

    Attributes
    ----------
    state : WatchState
        Where the rules stand.
    events, orders : list
        What happened and what was ordered so far.
    """

    def __init__(self, watched: Watch) -> None:
        self.watch = watched
        self.state = WatchState()
        self.events: list[Event] = []
        self.orders: list[Order] = []
        self._next = 0

    def see(self, value: float | None, **others: Any) -> Judgement:
        """Judge the next window."""
        return self.judge(window(self._next, value, **others))

    def judge(self, seen: Observation) -> Judgement:
        """Judge a window."""
        found = judge_window(self.watch, self.state, seen)
        self.state = found.state
        self.events += found.events
        self.orders += found.orders
        self._next += 1
        return found

    def walk(self, *values: float | None) -> list[str]:
        """Judge windows with these values; return what happened in them."""
        before = len(self.events)
        for value in values:
            self.see(value)
        return [event.kind for event in self.events[before:]]

    def skip(self, windows: int) -> None:
        """Let time pass of which nobody judges anything."""
        self._next += windows

"""Waiting for drift: what the monitor found in its newest window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from aimass.hooks.runtime import open_store
from aimass.triggers.base import Condition, Look

if TYPE_CHECKING:
    from aimass.core.monitoring.result import MonitorResult


NEWEST_WINDOWS = 50
"""A model without data for longer is not judged by what was before."""


class WatchedModel(Condition):
    """A condition on what the monitor found."""

    model: str = Field(min_length=1, description="The watched model.")
    project: str = Field(default="default", description="The pipeline that releases it.")
    store_conn_id: str = Field(default="aimass_store", description="Connection of the store.")

    def newest(self) -> MonitorResult | None:
        """Return the newest window that has data, or None."""
        from aimass.core.monitoring.result import read_windows

        windows = read_windows(open_store(self.store_conn_id), self.project, self.model, limit=NEWEST_WINDOWS)
        return next((window for window in reversed(windows) if not window.no_data), None)


class Drifted(WatchedModel):
    """The newest window differs from what the model was made with."""

    min_columns: int = Field(default=1, ge=1, description="So many columns must have drifted …")
    score: bool = Field(default=True, description="… or, where this is true, the model's answers.")

    def look(self) -> Look:
        """Read the newest window."""
        window = self.newest()
        if window is None or window.drift is None:
            return Look(False, f"{self.model} has no window that could be judged")
        columns, score = window.drift.drifted, window.drift.probability.drifted
        told = f"{window.start:%Y-%m-%d %H:%M}: {', '.join(columns) or 'no column'} drifted"
        return Look(
            len(columns) >= self.min_columns or (self.score and score),
            told + ("; so did the answers" if score else ""),
            {"columns": columns, "score": score, **window_facts(window)},
        )


def window_facts(window: MonitorResult) -> dict[str, Any]:
    """Return what a task is told of a window: which it is, and where its output lies."""
    return {
        "model": window.model,
        "version": window.version,
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "uri": window.uri,
    }

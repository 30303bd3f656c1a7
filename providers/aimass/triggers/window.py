"""Waiting for drift: what the monitor found in its newest window."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

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
    version: str | None = Field(default=None, description="Only what is known of this version; of any when empty.")
    since: datetime | None = Field(
        default=None, description="Only windows that began then or later; UTC where no offset is given."
    )
    store_conn_id: str = Field(default="aimass_store", description="Connection of the store.")

    @field_validator("since")
    @classmethod
    def _time_is_utc(cls, moment: datetime | None) -> datetime | None:
        return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment

    def windows(self) -> Iterator[MonitorResult]:
        """Yield the windows that may be looked at, the newest first."""
        from aimass.core.monitoring.result import read_windows

        store = open_store(self.store_conn_id)
        found = read_windows(store, self.project, self.model, since=self.since, limit=NEWEST_WINDOWS)
        # The names of the files have whole seconds.
        return (window for window in reversed(found) if self.since is None or window.start >= self.since)


class Drifted(WatchedModel):
    """The newest window differs from what the model was made with."""

    min_columns: int = Field(default=1, ge=1, description="So many columns must have drifted …")
    score: bool = Field(default=True, description="… or, where this is true, the model's answers.")

    def look(self) -> Look:
        """Read the newest window."""
        own = (window for window in self.windows() if self.version in (None, window.version))
        window = next((window for window in own if not window.no_data), None)
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

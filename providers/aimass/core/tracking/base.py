"""What a tracker is: somewhere to follow parameters and metrics while they come about."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol


class TrackedRun(Protocol):
    """One run that is being followed."""

    run_id: str
    url: str

    def log_metrics(self, metrics: Mapping[str, float], *, step: int | None = None) -> None:
        """Record `metrics`; visible to others at once."""

    def log_artifact(self, path: Path, *, folder: str = "") -> None:
        """Attach the file at `path`."""


class Tracker(Protocol):
    """Where runs are recorded."""

    def run(
        self, name: str, *, params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> AbstractContextManager[TrackedRun]:
        """Open a run in the project's experiment; it ends as finished, or as failed when the block raises.

        A run with the same ``aimass.key`` tag is taken up again instead of doubled. Raises UnreachableError when the
        server does not answer.
        """

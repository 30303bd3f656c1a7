"""What a tracker is: somewhere to follow parameters and metrics while they come about."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from aimass.core.deps import Deps

KEY_TAG = "aimass.key"
"""The tag by which a run is found again after a kill."""


class TrackedRun(Protocol):
    """One run that is being followed."""

    run_id: str
    url: str
    """Where a person looks at it; ``runs:/<run_id>`` where there is no server with pages."""

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Record `metrics`; visible to others within about a second. A step that is recorded already is skipped."""

    def log_artifact(self, path: Path, *, folder: str = "") -> None:
        """Attach the file at `path`."""


class Tracker(Protocol):
    """Where runs are recorded. Constructed as ``Tracker(deps)``; the address stands in ``deps.runtime``."""

    def __init__(self, deps: Deps) -> None: ...

    def run(
        self, name: str, *, key: str, params: Mapping[str, Any], tags: Mapping[str, str] | None = None
    ) -> AbstractContextManager[TrackedRun]:
        """Open a run in the project's experiment; it ends as finished, or as failed when the block raises.

        A run that was opened with the same `key` before is taken up again instead of doubled. Raises
        UnreachableError when the server does not answer.
        """

"""What a compute is: takes a stage as data, runs it somewhere, and returns its result as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from aimass.core import settings
from aimass.core.deps import Runtime
from aimass.core.failpoints import Failpoints
from aimass.core.progress import Progress


class Compute(Protocol):
    """A place where stages run. Constructed as ``Compute(settings)``."""

    Settings: ClassVar[type[settings.Settings]]

    def __init__(self, settings: Any) -> None: ...

    def run(
        self, stage: str, config: Mapping[str, Any], runtime: Runtime, *, progress: Progress, failpoints: Failpoints
    ) -> dict[str, Any]:
        """Run `stage` with `config` to its end and return its result, JSON-able.

        Raises the stage's own TerminalError or TransientError, wherever it ran.
        """

    def cancel(self) -> None:
        """Stop what `run` started; called from another thread when a user kills the task."""

"""Run a stage in this very process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from aimass.core import settings
from aimass.core.deps import Deps, Runtime
from aimass.core.failpoints import Failpoints
from aimass.core.progress import Progress, ProgressEvent
from aimass.core.stages import STAGES


class LocalSettings(settings.Settings):
    """The local compute has nothing to set."""


class LocalCompute:
    """The stage runs in the process that asks for it, and ends with it."""

    Settings: ClassVar[type[settings.Settings]] = LocalSettings

    def __init__(self, settings: LocalSettings) -> None:
        self.settings = settings

    def run(
        self, stage: str, config: Mapping[str, Any], runtime: Runtime, *, progress: Progress, failpoints: Failpoints
    ) -> dict[str, Any]:
        """Run `stage` here and return its result."""
        verb = STAGES.load(stage)
        deps = Deps.from_runtime(runtime, progress=progress, failpoints=failpoints)
        started = time.monotonic()
        result: dict[str, Any] = verb.run(verb.parse(config), deps).model_dump(mode="json")
        # The last event of a stage: what is left of the task's time is the platform's.
        seconds = time.monotonic() - started
        progress.report(ProgressEvent("ran", done=seconds, total=seconds, unit="seconds"))
        return result

    def cancel(self) -> None:
        """Do nothing: the process that runs the stage is the one that is stopped."""

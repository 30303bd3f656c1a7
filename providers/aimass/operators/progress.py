"""Progress of a stage: lines in the task's log, the latest one in Airflow's task state for others to poll."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aimass.core.progress import ProgressEvent

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

STATE_KEY = "progress"
LOG_INTERVAL_S = 1.0
STATE_INTERVAL_S = 2.0


class TaskProgress:
    """Receive a stage's progress inside an Airflow task.

    Parameters
    ----------
    log : Logger
        The task's log.
    context : mapping
        Airflow's context; its ``task_state_store`` gets the key ``progress``.
    """

    def __init__(self, log: Logger, context: Mapping[str, Any]) -> None:
        self._log = log
        self._state = context.get("task_state_store")
        self._logged: dict[str, float] = {}
        self._stored = -STATE_INTERVAL_S

    def report(self, event: ProgressEvent) -> None:
        """Take note of `event`, unless the same step was told a moment ago; the last unit is always told."""
        now = time.monotonic()
        is_last = event.done is not None and event.done == event.total
        if is_last or now - self._logged.get(event.step, -LOG_INTERVAL_S) >= LOG_INTERVAL_S:
            self._logged[event.step] = now
            self._log.info(event.text())
        if self._state is not None and (is_last or now - self._stored >= STATE_INTERVAL_S):
            self._stored = now
            # Progress is a courtesy: a state store that does not answer must not fail the work.
            with contextlib.suppress(Exception):
                self._state.set(STATE_KEY, {**asdict(event), "text": event.text()})

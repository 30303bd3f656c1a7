"""The one trigger: looks at a condition until it is met, or until the time is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from aimass.core.errors import AimassError, TransientError
from aimass.core.settings import parse_settings
from aimass.triggers import CONDITIONS
from aimass.triggers.base import Condition, Look

DEFAULT_POLL_S = 5.0


class ConditionTrigger(BaseTrigger):
    """Look at a condition every few seconds.

    Parameters
    ----------
    condition : str
        Its name in `aimass.triggers.CONDITIONS`.
    settings : mapping
        Its fields.
    until : float
        When to give up, in seconds since 1970: a triggerer that was restarted waits no longer than one that was not.
    poll_s : float
        Time between two looks.

    Notes
    -----
    Yields one event: ``{"met": true, "value": …}``, ``{"late": what was seen last}`` or ``{"error": message}``.
    """

    def __init__(
        self, *, condition: str, settings: Mapping[str, Any], until: float, poll_s: float = DEFAULT_POLL_S
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow's own
        self.condition = condition
        self.settings = dict(settings)
        self.until = until
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow keeps while the task waits."""
        fields = ("condition", "settings", "until", "poll_s")
        return "aimass.triggers.condition.ConditionTrigger", {name: getattr(self, name) for name in fields}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something to tell."""
        try:
            condition = condition_of(self.condition, self.settings)
            # A thread of its own for each: one server that hangs must not hold up what waits for another.
            look = sync_to_async(look_once, thread_sensitive=False)
            while not (seen := await look(condition)).met:
                if time.time() >= self.until:
                    yield _event(late=seen.told)
                    return
                await asyncio.sleep(self.poll_s)
        except AimassError as error:
            yield _event(error=str(error))
            return
        yield _event(met=True, value=seen.value, told=seen.told)


def condition_of(name: str, settings: Mapping[str, Any]) -> Condition:
    """Return the condition called `name` with `settings`.

    Raises
    ------
    ConfigError
        There is no such condition, or a field is unknown, missing or impossible.
    """
    return parse_settings(CONDITIONS.load(name), settings, where=f"the condition {name!r}")


def look_once(condition: Condition) -> Look:
    """Look at `condition`; what cannot be seen now is not met yet."""
    try:
        return condition.look()
    except TransientError as error:
        return Look(False, str(error))


def _event(**told: Any) -> TriggerEvent:
    return TriggerEvent(told)  # type: ignore[no-untyped-call] # Airflow's own

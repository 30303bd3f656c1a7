"""Waiting for a condition without keeping a worker busy."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from aimass.operators.failures import StageFailedError
from aimass.triggers.condition import DEFAULT_POLL_S, ConditionTrigger

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    from aimass.triggers.base import Condition

GRACE = timedelta(minutes=1)
"""The triggerer says what it saw last; only where it says nothing for so long does Airflow end the waiting."""


def defer_until(
    task: BaseOperator,
    name: str,
    condition: Condition,
    *,
    timeout_s: float,
    poll_s: float = DEFAULT_POLL_S,
    **kwargs: Any,
) -> NoReturn:
    """Go on in ``task.execute_complete(context, event, **kwargs)`` once `condition` is met, or `timeout_s` are over.

    Parameters
    ----------
    task : BaseOperator
        The running task.
    name : str
        The condition's name in `aimass.triggers.CONDITIONS`.
    condition : Condition
        What is waited for.
    timeout_s, poll_s : float
        For how long, and how often it is looked at.
    **kwargs
        What else the task wants to know when it goes on; JSON-able.
    """
    trigger = ConditionTrigger(
        condition=name,
        settings=condition.model_dump(mode="json"),
        until=time.time() + timeout_s,
        poll_s=poll_s,
    )
    task.defer(
        trigger=trigger,
        method_name="execute_complete",
        kwargs=kwargs,
        timeout=timedelta(seconds=timeout_s) + GRACE,
    )
    raise AssertionError("defer ends this attempt")


def outcome(event: Mapping[str, Any], *, late: type[Exception] = StageFailedError) -> Any:
    """Return the value that was waited for.

    Raises
    ------
    StageFailedError
        It can never come.
    Exception
        It did not come in time: of the class `late`, saying what was seen last.
    """
    if "error" in event:
        raise StageFailedError(str(event["error"]))
    if "late" in event:
        raise late(f"It was waited for in vain: {event['late']}")
    return event.get("value")

"""What every sensor does: look, and if need be wait, in the triggerer unless told otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowSensorTimeout

from aimass.operators.failures import translated_failures
from aimass.operators.waiting import defer_until, outcome
from aimass.triggers.condition import condition_of, look_once

if TYPE_CHECKING:
    from airflow.sdk import Context

    from aimass.triggers.base import Condition


class ConditionSensor(BaseSensorOperator):
    """Wait for a condition.

    Parameters
    ----------
    deferrable : bool
        Wait in the triggerer, which keeps no worker busy; in the task itself otherwise.
    **kwargs
        See `airflow.sdk.BaseSensorOperator`: ``poke_interval``, ``timeout`` (both in seconds), ``soft_fail`` …

    Returns
    -------
    Any
        What was waited for; see the sensor.
    """

    condition: ClassVar[str]
    ui_color = "#e8eef8"

    def __init__(self, *, deferrable: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable

    def settings(self, context: Context) -> dict[str, Any]:
        """Return the condition's fields; called once the task's templates are rendered."""
        raise TypeError(f"{type(self).__name__} does not say what it waits for")

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        return self._look(self._condition(context))

    def execute(self, context: Context) -> Any:
        """Look, and wait where the condition is not met yet."""
        if not self.deferrable:
            return super().execute(context)
        condition = self._condition(context)
        found = self._look(condition)
        if not found.is_done:
            defer_until(self, self.condition, condition, timeout_s=self.timeout, poll_s=self.poke_interval)
        return found.xcom_value

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Return what was waited for."""
        self.log.info("%s", event.get("told", ""))
        return outcome(event, late=AirflowSensorTimeout)

    def _condition(self, context: Context) -> Condition:
        with translated_failures():
            return condition_of(self.condition, self.settings(context))

    def _look(self, condition: Condition) -> PokeReturnValue:
        with translated_failures():
            seen = look_once(condition)
        self.log.info("%s", seen.told)
        return PokeReturnValue(seen.met, seen.value)

"""The operator of the stage ``monitor``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from aimass.core.errors import ConfigError
from aimass.links.report import ReportLink
from aimass.operators.failures import translated_failures
from aimass.operators.stage import StageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class MonitorOperator(StageOperator):
    """Judge one window of a model in use: drift of its data and its answers, and its quality once labels arrive.

    The window is the last whole one before the run: windows follow each other without a gap, and a run that is
    repeated judges the same one again.

    Parameters
    ----------
    window_minutes : float
        Length of a window.
    settle_s : float
        How long after the window's end its last rows are waited for: servers write their log now and then.
    end : str, optional
        End of the window instead (ISO 8601): it need not follow the one before. Templated.
    **kwargs
        See `StageOperator`; `config` is without ``start`` and ``end``.
    """

    stage = "monitor"
    operator_extra_links = (ReportLink(),)
    template_fields: Sequence[str] = (*StageOperator.template_fields, "end")

    def __init__(
        self, *, window_minutes: float = 60, settle_s: float = 0, end: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.window_minutes = window_minutes
        self.settle_s = settle_s
        self.end = end

    def execute(self, context: Context) -> Any:
        """Judge the window, once its rows are there."""
        with translated_failures():
            settled = self.window(context)[1] + timedelta(seconds=self.settle_s)
        if settled > datetime.now(UTC):
            self.defer(trigger=DateTimeTrigger(moment=settled), method_name="judge")
        return self.judge(context)

    def judge(self, context: Context, event: Any = None) -> Any:
        """Judge the window."""
        return super().execute(context)

    def stage_config(self, context: Context) -> dict[str, Any]:
        """Return the configuration of this run, with its window."""
        start, end = self.window(context)
        return {**super().stage_config(context), "start": start.isoformat(), "end": end.isoformat()}

    def window(self, context: Context) -> tuple[datetime, datetime]:
        """Return start and end (UTC) of this run's window.

        Raises
        ------
        ConfigError
            `end` is no time.
        """
        length = timedelta(minutes=self.window_minutes)
        end = _time(self.end) if self.end else last_end(context["dag_run"].run_after, length)
        return end - length, end


def last_end(moment: datetime, length: timedelta) -> datetime:
    """Return when the last window that is over at `moment` ended; windows are counted from 1970 on (UTC)."""
    seconds = length.total_seconds()
    # Half a microsecond is what a float of today's time cannot tell apart.
    whole = math.floor(moment.timestamp() / seconds + 1e-9)
    return datetime.fromtimestamp(whole * seconds, UTC)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"The window's end is {text!r}", expected="a date and time such as 2026-04-01T12:00:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)

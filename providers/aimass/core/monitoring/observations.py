"""What rules look at: one window's figures, from the monitor stage's result and from the servers' own measurements."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import Field

from aimass.core import settings
from aimass.core.endpoints.status import MetricSample, ServerStatus
from aimass.core.monitoring.figures import quality_figures, volume_figures
from aimass.core.monitoring.result import MonitorResult, Serving
from aimass.core.monitoring.rules import COLUMN_PREFIX
from aimass.core.monitoring.samples import serving_of


class Observation(settings.Settings):
    """One window of one model."""

    start: datetime = Field(description="Start of the window (UTC).")
    end: datetime = Field(description="Its end (UTC).")
    version: str | None = Field(default=None, description="The version that is judged; none where nothing answered.")
    metrics: dict[str, float] = Field(default={}, description="Figures by metric; one that is not here has no data.")
    source: str = Field(default="", description="URI of the monitor's output.")


def observe(
    result: MonitorResult,
    samples: Sequence[MetricSample] = (),
    servers: Mapping[str, ServerStatus | None] | None = None,
    *,
    min_rows: int = 1,
) -> Observation:
    """Return what rules look at.

    Parameters
    ----------
    result : MonitorResult
        What the monitor stage found in the window.
    samples : sequence of MetricSample
        What the servers measured in it.
    servers : mapping of str to ServerStatus or None, optional
        What each server says of itself now; None for one that is not ready or does not answer.
    min_rows : int
        Rows answered, or refused, without which nothing is said of latency and errors.
    """
    served = _served(serving_of(samples, result.model), min_rows)
    metrics = {**_judged(result), **served, **_servers(result.model, servers or {})}
    return Observation(
        start=result.start,
        end=result.end,
        version=result.version,
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        source=result.uri,
    )


def _judged(result: MonitorResult) -> dict[str, float]:
    """Return the monitor's figures; of a window with too few rows only those that rows do not stand behind."""
    if result.no_data:
        return volume_figures(result.rows, result.quality) | quality_figures(result.quality, result.version)
    return {**result.metrics, **_columns(result)}


def _columns(result: MonitorResult) -> dict[str, float]:
    columns = result.drift.columns if result.drift is not None else []
    return {COLUMN_PREFIX + column.column: column.effect if column.drifted else 0.0 for column in columns}


def _served(serving: Serving | None, min_rows: int) -> dict[str, float]:
    """Return the figures of what servers measured; none where there is no sample: nothing is known then.

    Latency and errors are those of many rows or requests, or unknown.
    """
    if serving is None:
        return {}
    figures = {**serving.model_dump(exclude={"servers", "errors", "rows"}), "error_rate": serving.error_rate}
    if serving.errors + max(serving.requests, serving.rows) < min_rows:
        figures = {name: value for name, value in figures.items() if name not in ("p50_ms", "p99_ms", "error_rate")}
    return {name: float(value) for name, value in figures.items() if value is not None}


def _servers(model: str, servers: Mapping[str, ServerStatus | None]) -> dict[str, float]:
    if not servers:
        return {}
    down = [name for name, status in servers.items() if status is None]
    behind = [name for name, status in servers.items() if status is not None and _is_behind(status, model)]
    return {"servers_down": float(len(down)), "servers_behind": float(len(behind))}


def _is_behind(status: ServerStatus, model: str) -> bool:
    served = status.model(model)
    # A server lists every model of its registry, loaded or not: what it does not list, it cannot serve.
    return served is None or bool(served.alarm)

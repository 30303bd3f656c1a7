"""Raw rows at the edges of a feature graph, for the parity certificate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from aimass.core.features.raw import EARLIEST_US, LATEST_US, RawColumn

if TYPE_CHECKING:
    from aimass.core.features.graph import FeatureGraph

FLOATS = (None, float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1e-310, -1.0, 1e300, -1e300, 3.5e38)
INTS = (None, 0, -1, 1, (1 << 24) + 1, (1 << 53) + 1, -(1 << 53) - 1)
TEXTS = (None, "", " ", "never seen before", "naïve ", "e\u0301", "航班", "None", "nan", "0")
# The epoch, the microsecond before it, leap days, a century without one, ends of a year, and both ends of the calendar.
DATES_US = (
    None, 0, -1, 951_782_400_000_000, -2_203_891_200_000_000, 1_735_689_599_999_999, 4_107_542_400_000_000,
    EARLIEST_US, LATEST_US,
)  # fmt: skip
THRESHOLDS_PER_FEATURE = 200


def edge_rows(graph: FeatureGraph, base: pl.DataFrame, thresholds: Mapping[str, Iterable[float]]) -> pl.DataFrame:
    """Return rows of `base`, each with one cell at an edge, in the types of `base`."""
    cells = {column.name: [*_values(column, base.schema[column.name])] for column in graph.raw}
    for name, value in _threshold_cells(graph, thresholds):
        cells[name].append(value)
    frames = [
        _with_cells(base, name, pl.Series(name, values, dtype=base.schema[name], strict=False))
        for name, values in cells.items()
        if values and base.height
    ]
    return pl.concat(frames) if frames else base.clear()


def _values(column: RawColumn, dtype: pl.DataType) -> Iterator[Any]:
    """Yield the edge values of a raw column that arrives as `dtype`."""
    if column.native == "string":
        yield from TEXTS
    elif column.native == "float":
        yield from FLOATS
    elif column.native == "int":
        yield from INTS
    elif column.native == "date":
        yield from pl.Series(DATES_US, dtype=pl.Int64).cast(pl.Datetime("us")).cast(_naive(dtype), strict=False)
    else:
        yield from (None, True, False)


def _naive(dtype: pl.DataType) -> pl.DataType:
    return pl.Datetime(dtype.time_unit) if isinstance(dtype, pl.Datetime) else dtype


def _with_cells(base: pl.DataFrame, name: str, cells: pl.Series) -> pl.DataFrame:
    """Return as many rows of `base`, in turn, as there are `cells`, with those in the column `name`."""
    rows = base[[index % base.height for index in range(cells.len())]]
    return rows.with_columns(cells.alias(name))


def _threshold_cells(graph: FeatureGraph, thresholds: Mapping[str, Iterable[float]]) -> Iterator[tuple[str, Any]]:
    """Yield ``(raw column, value)`` that bring a feature to its thresholds and one float32 step to either side."""
    raw = {column.name: column for column in graph.raw}
    for feature, values in thresholds.items():
        around = [step for value in list(values)[:THRESHOLDS_PER_FEATURE] for step in _neighbours(value)]
        name, inverted = _raw_values(graph, feature, around)
        if name in raw and raw[name].native in ("float", "int"):
            whole = raw[name].native == "int"
            yield from ((name, round(value) if whole else value) for value in inverted if abs(value) < 1e300)


def _neighbours(value: float) -> list[float]:
    at = np.float32(value)
    return [float(np.nextafter(at, np.float32(-np.inf))), float(at), float(np.nextafter(at, np.float32(np.inf)))]


def _raw_values(graph: FeatureGraph, feature: str, values: list[float]) -> tuple[str, list[float]]:
    """Follow `feature` back through the transforms that gave it its values."""
    name = feature
    for _, transform in reversed([*graph.clean, *graph.features]):
        if transform.replaces and name in transform.names:
            name, values = transform.invert(name, values)
    return name, values

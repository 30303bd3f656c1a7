"""What transforms learn from training rows: the same rows give the same bits, whatever the threads do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from aimass.core.datasets import batches, collect

QUANTILE_ROWS = 1 << 20
"""Quantiles of a longer column are taken from every k-th row, so that memory stays flat."""

CELLS_PER_BATCH = 4 << 20


@dataclass(frozen=True)
class Moments:
    """Count, mean and standard deviation (population) of the values that are not missing."""

    count: int
    mean: float
    std: float


def moments(frame: pl.LazyFrame, names: Sequence[str]) -> list[Moments]:
    """Return the moments of number columns.

    polars adds up in whatever order its threads finish, and the last bit differs from run to run; so batches are
    merged here, in the rows' order (Chan, Golub and LeVeque 1979).
    """
    n, mean, m2 = (np.zeros(len(names)) for _ in range(3))
    rows = max(1024, min(65_536, CELLS_PER_BATCH // max(1, len(names))))
    for batch in batches(frame.select([pl.col(name).cast(pl.Float64) for name in names]), rows=rows):
        cells = batch.to_numpy().astype(np.float64, copy=False)
        known = ~np.isnan(cells)
        count = known.sum(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            batch_mean = np.where(known, cells, 0.0).sum(axis=0) / np.maximum(count, 1)
            batch_m2 = np.where(known, (cells - batch_mean) ** 2, 0.0).sum(axis=0)
            delta, total = batch_mean - mean, np.maximum(n + count, 1)
            mean = mean + delta * count / total
            m2 = m2 + batch_m2 + delta**2 * n * count / total
            n = n + count
    return [Moments(int(c), float(m), math.sqrt(max(s / max(c, 1), 0.0))) for c, m, s in zip(n, mean, m2, strict=True)]


def quantiles(frame: pl.LazyFrame, names: Sequence[str], points: Sequence[float]) -> list[list[float | None]]:
    """Return quantiles (linear interpolation) of number columns; None where every value is missing."""
    numbers = frame.select([pl.col(name).cast(pl.Float64) for name in names])
    return [[column.quantile(point, interpolation="linear") for point in points] for column in _columns(numbers, names)]


def iqr_bounds(frame: pl.LazyFrame, names: Sequence[str], multiple: float) -> list[tuple[float | None, float | None]]:
    """Return the quartiles of number columns, moved out by `multiple` of their distance (Tukey's fences)."""
    return [
        (None, None)
        if first is None or third is None
        else (first - multiple * (third - first), third + multiple * (third - first))
        for first, third in quantiles(frame, names, (0.25, 0.75))
    ]


def middles(frame: pl.LazyFrame, names: Sequence[str]) -> list[int | None]:
    """Return the lower medians of whole-number columns; None where every value is missing."""
    known = [column.drop_nulls().sort() for column in _columns(frame, names)]
    return [int(column[(column.len() - 1) // 2]) if column.len() else None for column in known]


def _columns(frame: pl.LazyFrame, names: Sequence[str]) -> Iterator[pl.Series]:
    """Yield whole columns, each as at most about `QUANTILE_ROWS` evenly spaced rows, several per pass over the rows."""
    rows = count_rows(frame)
    every = max(1, -(-rows // QUANTILE_ROWS))
    at_once = max(1, CELLS_PER_BATCH // max(1, rows // every))
    for start in range(0, len(names), at_once):
        chosen = frame.select(names[start : start + at_once])
        yield from collect(chosen.gather_every(every) if every > 1 else chosen).get_columns()


def count_rows(frame: pl.LazyFrame) -> int:
    """Return the number of rows."""
    return int(collect(frame.select(pl.len())).item())


def missing_counts(frame: pl.LazyFrame, names: Sequence[str]) -> list[int]:
    """Return the number of missing values of each column."""
    return list(collect(frame.select([pl.col(name).null_count() for name in names])).row(0))


def extremes(frames: Iterable[pl.LazyFrame], names: Sequence[str]) -> list[tuple[Any, Any]]:
    """Return the least and the greatest value of each column over `frames`; (None, None) where all are missing."""
    if not names:
        return []
    found = [
        collect(frame.select([getattr(pl.col(name), what)() for name in names]))
        for frame in frames
        for what in ("min", "max")
    ]
    together = pl.concat(found, how="vertical_relaxed")
    return list(zip(together.select(pl.all().min()).row(0), together.select(pl.all().max()).row(0), strict=True))


def value_counts(frame: pl.LazyFrame, names: Sequence[str]) -> list[list[tuple[Any, int]]]:
    """Return ``(value, rows)`` of each column, without missing ones, most frequent first, equals in order of value."""
    if count_rows(frame) <= QUANTILE_ROWS:
        counts = [column.drop_nulls().alias("value").value_counts(name="rows") for column in _columns(frame, names)]
    else:
        values = [frame.select(pl.col(name).alias("value")).drop_nulls() for name in names]
        counts = [collect(column.group_by("value").agg(pl.len().alias("rows"))) for column in values]
    return [counted.sort(["rows", "value"], descending=[True, False]).rows() for counted in counts]


def count_distinct(frame: pl.LazyFrame, names: Sequence[str]) -> list[int]:
    """Return the number of different values of each column that are not missing."""
    if count_rows(frame) <= QUANTILE_ROWS:
        return [column.drop_nulls().n_unique() for column in _columns(frame, names)]
    return [int(collect(frame.select(pl.col(name).drop_nulls().n_unique())).item()) for name in names]

"""What transforms learn from training rows: the same rows give the same bits, whatever the threads do."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


def quantiles(frame: pl.LazyFrame, name: str, points: Sequence[float]) -> list[float | None]:
    """Return quantiles (linear interpolation) of a number column; None where every value is missing."""
    column = collect(sample(frame.select(pl.col(name).cast(pl.Float64)))).to_series()
    return [column.quantile(point, interpolation="linear") for point in points]


def iqr_bounds(frame: pl.LazyFrame, name: str, multiple: float) -> tuple[float | None, float | None]:
    """Return the quartiles of the column `name`, moved out by `multiple` of their distance (Tukey's fences)."""
    first, third = quantiles(frame, name, (0.25, 0.75))
    if first is None or third is None:
        return None, None
    return first - multiple * (third - first), third + multiple * (third - first)


def middle(frame: pl.LazyFrame, name: str) -> int | None:
    """Return the lower median of a whole-number column."""
    column = collect(sample(frame.select(name))).to_series().drop_nulls().sort()
    return int(column[(column.len() - 1) // 2]) if column.len() else None


def sample(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Return at most about `QUANTILE_ROWS` rows, evenly spaced."""
    rows = collect(frame.select(pl.len())).item()
    return frame.gather_every(-(-rows // QUANTILE_ROWS)) if rows > QUANTILE_ROWS else frame


def missing_counts(frame: pl.LazyFrame, names: Sequence[str]) -> list[int]:
    """Return the number of missing values of each column."""
    return list(collect(frame.select([pl.col(name).null_count() for name in names])).row(0))


def extremes(frame: pl.LazyFrame, names: Sequence[str]) -> list[tuple[Any, Any]]:
    """Return the least and the greatest value of each column; (None, None) where every value is missing."""
    if not names:
        return []
    least = [pl.col(name).min().alias(f"{name}\n<") for name in names]
    greatest = [pl.col(name).max().alias(f"{name}\n>") for name in names]
    row = collect(frame.select(least + greatest)).row(0)
    return list(zip(row[: len(names)], row[len(names) :], strict=True))


def value_counts(frame: pl.LazyFrame, name: str) -> list[tuple[Any, int]]:
    """Return ``(value, rows)`` without missing values, most frequent first, equals in the order of the values."""
    counted = frame.select(pl.col(name).alias("value")).drop_nulls().group_by("value").agg(pl.len().alias("rows"))
    return collect(counted).sort(["rows", "value"], descending=[True, False]).rows()


def count_distinct(frame: pl.LazyFrame, name: str) -> int:
    """Return the number of different values that are not missing."""
    return int(collect(frame.select(pl.col(name).drop_nulls().n_unique())).item())

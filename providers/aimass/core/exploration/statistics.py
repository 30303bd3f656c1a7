"""Statistics of every column in two streaming passes and one evenly spaced sample: memory does not grow with the rows.

Counts, moments and extremes are exact. Quantiles come from the sample (exact where the part fits into it); distinct
values are estimated above `EXACT_DISTINCT_ROWS`; both are marked in the profile.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aimass.core.datasets import batches, collect
from aimass.core.exploration.profile import Histogram, Kind, Numbers, Texts, ValueCount

Floats = npt.NDArray[np.float64]
Columns = dict[str, Kind]

EXACT_DISTINCT_ROWS = 200_000
SAMPLE_ROWS = 100_000
SAMPLE_CELLS = 8_000_000
BATCH_CELLS = 4_000_000
COUNTED_VALUES = 10_000
KEPT_VALUES = 50
KEPT_CHARACTERS = 200
BINS = 24
WHOLE_BINS = 64
WIDEST_TAIL = 1.5
PROBABILITIES = (0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99)
COLUMNS_PER_PASS = 250


def kind_of(dtype: pl.DataType) -> Kind:
    """Return how a column of this type is looked at."""
    if dtype.is_numeric():
        return "numeric"
    if dtype.is_temporal():
        return "temporal"
    if isinstance(dtype, pl.Boolean):
        return "boolean"
    return "category" if isinstance(dtype, pl.String | pl.Categorical | pl.Enum) else "other"


def as_number(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return a numeric or temporal column as float64, temporal ones in their physical unit, null where not finite."""
    column = pl.col(name).to_physical() if dtype.is_temporal() else pl.col(name)
    column = column.cast(pl.Float64)
    return pl.when(column.is_finite()).then(column) if dtype.is_float() else column


def summaries(frame: pl.LazyFrame, schema: pl.Schema, rows: int) -> dict[str, dict[str, Any]]:
    """Return the exact counts, moments and extremes of every column, by column and statistic."""
    found: dict[str, dict[str, Any]] = {}
    for names in _groups(list(schema)):
        expressions = {
            (name, statistic): expression
            for name in names
            for statistic, expression in _expressions(name, schema[name], exact=rows <= EXACT_DISTINCT_ROWS).items()
        }
        aliased = [expression.alias(str(index)) for index, expression in enumerate(expressions.values())]
        values = collect(frame.select(aliased)).row(0)
        for (name, statistic), value in zip(expressions, values, strict=True):
            found.setdefault(name, {})[statistic] = value
    return found


def _expressions(name: str, dtype: pl.DataType, *, exact: bool) -> dict[str, pl.Expr]:
    column, kind = pl.col(name), kind_of(dtype)
    found = {"missing": column.null_count()}
    if kind == "other":
        return found
    if dtype.is_float():
        found |= {"nan": column.is_nan().sum(), "infinite": column.is_infinite().sum()}
    if kind in ("numeric", "temporal"):
        value = as_number(name, dtype)
        found |= {"mean": value.mean(), "std": value.std(), "min": value.min(), "max": value.max()}
        found |= {"zeros": (value == 0).sum(), "negative": (value < 0).sum()}
    else:
        column = column.cast(pl.String)
        length = column.str.len_chars()
        found |= {"min_length": length.min(), "mean_length": length.mean(), "max_length": length.max()}
    values = column.drop_nulls()
    found["distinct"] = values.n_unique() if exact else values.approx_n_unique()
    return found


def draw_sample(frame: pl.LazyFrame, schema: pl.Schema, rows: int) -> pl.DataFrame:
    """Return evenly spaced rows as numbers (numeric, temporal) and texts of bounded length; other columns stay out."""
    kept = [_sampled(name, dtype) for name, dtype in schema.items() if kind_of(dtype) != "other"]
    wanted = max(1_000, min(SAMPLE_ROWS, SAMPLE_CELLS // max(1, len(kept))))
    return collect(frame.select(kept).gather_every(max(1, math.ceil(rows / wanted))))


def _sampled(name: str, dtype: pl.DataType) -> pl.Expr:
    if kind_of(dtype) in ("numeric", "temporal"):
        return as_number(name, dtype).alias(name)
    return pl.col(name).cast(pl.String).str.head(KEPT_CHARACTERS)


def numbers_of(summary: dict[str, Any], values: pl.Series, skew: float | None) -> Numbers:
    """Return the statistics of a numeric or temporal column from its summary and its values in the sample."""
    values = values.drop_nulls()
    found = [] if values.is_empty() else np.quantile(values.to_numpy(), PROBABILITIES).tolist()
    return Numbers(
        **{name: summary[name] for name in ("mean", "std", "min", "max", "zeros", "negative")},
        skew=skew,
        quantiles=dict(zip(map(str, PROBABILITIES), found, strict=False)),
    )


def texts_of(summary: dict[str, Any]) -> Texts:
    """Return the lengths of a text column from its summary."""
    return Texts(**{name: summary[name] for name in ("min_length", "mean_length", "max_length")})


class Tally:
    """The second pass: histograms, third moments and value counts, added up batch by batch.

    Parameters
    ----------
    schema : polars.Schema
        The columns.
    found : dict
        The result of `summaries`.
    sample : polars.DataFrame
        The result of `draw_sample`: where tails are long, it says how far the bins reach.
    """

    def __init__(self, schema: pl.Schema, found: dict[str, dict[str, Any]], sample: pl.DataFrame) -> None:
        self._schema = schema
        self._found = found
        self._edges: dict[str, Floats] = {}
        self._counts: dict[str, npt.NDArray[np.int64]] = {}
        self._cubes: dict[str, float] = {}
        self._values: dict[str, Counter[str]] = {}
        for name, dtype in schema.items():
            kind, summary = kind_of(dtype), found[name]
            if kind in ("numeric", "temporal") and summary["min"] is not None:
                self._edges[name] = bin_edges(summary, sample[name], whole=dtype.is_integer())
                self._counts[name] = np.zeros(len(self._edges[name]) - 1, dtype=np.int64)
                self._cubes[name] = 0.0
            if self.counts_values(name):
                self._values[name] = Counter()

    def counts_values(self, name: str) -> bool:
        """Return whether the values of this column are few enough to be counted one by one."""
        kind, distinct = kind_of(self._schema[name]), self._found[name].get("distinct", math.inf)
        limit = {"category": COUNTED_VALUES, "boolean": COUNTED_VALUES, "numeric": KEPT_VALUES}.get(kind, 0)
        return bool(distinct <= limit)

    def add_all(self, frame: pl.LazyFrame, tell: Callable[[int], None]) -> None:
        """Read `frame` once per group of columns and add it up; `tell` hears the cells done so far."""
        cells = 0
        for names in _groups(self._wanted()):
            expressions = [_sampled(name, self._schema[name]) for name in names]
            rows = max(1_024, min(65_536, BATCH_CELLS // len(names)))
            for batch in batches(frame.select(expressions), rows=rows):
                self._add(batch)
                cells += batch.height * batch.width
                tell(cells)

    def histogram(self, name: str) -> Histogram | None:
        """Return the histogram of a column that has numbers."""
        if name not in self._edges:
            return None
        return Histogram(edges=self._edges[name].tolist(), counts=self._counts[name].tolist())

    def skew(self, name: str) -> float | None:
        """Return the third standardised moment, None for a constant column."""
        summary = self._found[name]
        count = int(self._counts[name].sum()) if name in self._counts else 0
        if count < 2 or not summary["std"]:
            return None
        value = self._cubes[name] / count * (count / (count - 1)) ** 1.5
        return value if math.isfinite(value) else None

    def top(self, name: str) -> list[ValueCount] | None:
        """Return the most frequent values, None for a column whose values were not counted."""
        if name not in self._values:
            return None
        return _most(self._values[name].items())

    def _wanted(self) -> list[str]:
        return [name for name in self._schema if name in self._edges or name in self._values]

    def _add(self, batch: pl.DataFrame) -> None:
        for name in batch.columns:
            series = batch[name]
            if name in self._edges:
                self._add_numbers(name, series.drop_nulls().to_numpy())
            if name in self._values:
                for value, count in series.drop_nulls().value_counts().iter_rows():
                    self._values[name][_text(value)] += count

    def _add_numbers(self, name: str, values: Floats) -> None:
        edges, summary = self._edges[name], self._found[name]
        inner = np.searchsorted(edges[1:-1], values, side="right")
        self._counts[name] += np.bincount(inner, minlength=len(edges) - 1)
        if summary["std"]:
            with np.errstate(over="ignore", invalid="ignore"):
                self._cubes[name] += float(np.sum(((values - summary["mean"]) / summary["std"]) ** 3))


def bin_edges(summary: dict[str, Any], values: pl.Series, *, whole: bool) -> Floats:
    """Return the edges of a column's histogram.

    Few whole numbers get a bin each. A long tail (beyond 1.5 times the range of the middle 98 %) is left to the outer
    bins, so that one absurd value does not flatten the rest.
    """
    low, high = float(summary["min"]), float(summary["max"])
    if whole and high - low < WHOLE_BINS:
        return np.arange(low, high + 2) - 0.5
    values = values.drop_nulls()
    if not values.is_empty():
        inner_low, inner_high = (float(value) for value in np.quantile(values.to_numpy(), [0.01, 0.99]))
        # Python's floats become infinite where numpy's would complain: such a tail reaches everything.
        reach = WIDEST_TAIL * (inner_high - inner_low)
        if reach > 0:
            low, high = max(low, inner_low - reach), min(high, inner_high + reach)
    if not low < high:
        # Next to a huge number one half is nothing, and beyond the hugest there is none.
        below, above = math.nextafter(low, -math.inf), math.nextafter(low, math.inf)
        return np.clip([min(low - 0.5, below), max(low + 0.5, above)], -sys.float_info.max, sys.float_info.max)
    if whole and high - low < 2**52:
        # Bins of equally many whole numbers: others show a comb that is not in the data.
        low, high = math.floor(low), math.ceil(high)
        width = math.ceil((high - low + 1) / BINS)
        return low - 0.5 + width * np.arange(math.ceil((high - low + 1) / width) + 1, dtype=np.float64)
    with np.errstate(over="ignore"):
        # The last edge may be rounded beyond the hugest number; it is `high` in any case.
        edges: Floats = low + (high / BINS - low / BINS) * np.arange(BINS + 1, dtype=np.float64)
    edges[-1] = high
    edges = np.unique(edges[np.isfinite(edges)])
    return edges if len(edges) > 1 else np.array([low, high])


def sampled_top(values: pl.Series, scale: float) -> list[ValueCount]:
    """Return the most frequent values of the sample, their counts scaled up to the whole part."""
    counted = values.drop_nulls().value_counts(sort=True).head(KEPT_VALUES)
    return _most((_text(value), round(count * scale)) for value, count in counted.iter_rows())


def _most(items: Iterable[tuple[str, int]]) -> list[ValueCount]:
    ordered = sorted(items, key=lambda item: (-item[1], item[0]))
    return [ValueCount(value=value, count=count) for value, count in ordered[:KEPT_VALUES]]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _groups(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + COLUMNS_PER_PASS] for start in range(0, len(names), COLUMNS_PER_PASS)]

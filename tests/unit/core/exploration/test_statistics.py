from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core.exploration import statistics


def tallied(frame: pl.DataFrame) -> tuple[dict[str, dict[str, Any]], statistics.Tally, pl.DataFrame]:
    lazy, schema = frame.lazy(), frame.schema
    found = statistics.summaries(lazy, schema, frame.height)
    sample = statistics.draw_sample(lazy, schema, frame.height)
    tally = statistics.Tally(schema, found, sample)
    tally.add_all(lazy, lambda done: None)
    return found, tally, sample


@settings(max_examples=25, deadline=None)
@given(st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=60))
def test_every_finite_value_lands_in_one_bin(values: list[float | None]) -> None:
    found, tally, _ = tallied(pl.DataFrame({"x": values}, schema={"x": pl.Float64}))
    finite = [value for value in values if value is not None and math.isfinite(value)]
    histogram = tally.histogram("x")
    assert (sum(histogram.counts) if histogram else 0) == len(finite)
    assert found["x"]["missing"] == sum(value is None for value in values)
    assert found["x"]["nan"] == sum(value is not None and math.isnan(value) for value in values)
    assert found["x"]["infinite"] == sum(value is not None and math.isinf(value) for value in values)
    assert found["x"]["min"] == (min(finite) if finite else None)
    assert histogram is None or all(np.diff(histogram.edges) > 0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=60))
def test_whole_numbers_share_bins_of_equal_width(values: list[int]) -> None:
    _, tally, _ = tallied(pl.DataFrame({"x": values}, schema={"x": pl.Int64}))
    histogram = tally.histogram("x")
    assert histogram is not None
    assert sum(histogram.counts) == len(values)
    assert all(edge % 1 == 0.5 for edge in histogram.edges)
    assert len({round(width, 6) for width in np.diff(histogram.edges)}) == 1


def test_moments_and_values_are_those_of_polars() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.gamma(1, 1, 5_000), "s": rng.choice(["a", "b", "c"], 5_000)})
    found, tally, sample = tallied(frame)
    numbers = statistics.numbers_of(found["x"], sample["x"], tally.skew("x"))
    assert numbers.mean == pytest.approx(frame["x"].mean())
    assert numbers.std == pytest.approx(frame["x"].std())
    assert numbers.skew == pytest.approx(frame["x"].skew())
    assert numbers.quantiles["0.5"] == pytest.approx(frame["x"].median())
    counts = dict(frame["s"].value_counts().iter_rows())
    top = tally.top("s")
    assert top is not None
    assert {item.value: item.count for item in top} == counts


def test_one_absurd_value_does_not_flatten_the_histogram() -> None:
    _, tally, _ = tallied(pl.DataFrame({"x": [*np.linspace(0, 1, 999), 1e12]}))
    histogram = tally.histogram("x")
    assert histogram is not None
    assert histogram.edges[-1] < 10
    assert sum(count > 0 for count in histogram.counts) > 5
    assert sum(histogram.counts) == 1_000


def test_the_sample_is_bounded_in_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "SAMPLE_ROWS", 1_000)
    frame = pl.DataFrame({"x": range(10_001), "s": ["y" * 1_000] * 10_001})
    sample = statistics.draw_sample(frame.lazy(), frame.schema, frame.height)
    assert sample.height <= 1_000
    assert sample["s"].str.len_chars().max() == statistics.KEPT_CHARACTERS

"""Counts in fixed bins add up exactly, whatever the rows and however they are cut."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.errors import CorruptDataError, DataError
from aimass.core.features.raw import RawColumn
from aimass.core.monitoring.log import LABEL, PROBABILITY
from aimass.core.monitoring.profile import Profile
from aimass.core.monitoring.sketches import BINS, KEPT_VALUES, NumberSketch, TextSketch

NUMBERS = st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1.0]))
TEXTS = st.lists(st.none() | st.sampled_from("abcde") | st.text(max_size=3))


def floats(values: list[float | None]) -> pl.Series:
    return pl.Series("x", values, dtype=pl.Float64)


def texts(values: list[str | None]) -> pl.Series:
    return pl.Series("x", values, dtype=pl.String)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_numbers_add_up_exactly(sample: list[float], one: list[float], other: list[float]) -> None:
    empty = NumberSketch.fit(floats(sample), "float")
    both = empty.of(floats(one)).merge(empty.of(floats(other)))
    whole = empty.of(floats([*one, *other]))
    assert (both.counts, both.missing) == (whole.counts, whole.missing)
    assert both.rows == len(one) + len(other)
    assert both.emptied() == empty
    assert math.isfinite(both.std)
    assert both.merge(empty) == both


@given(TEXTS, TEXTS, TEXTS)
def test_texts_add_up_exactly(sample: list[str], one: list[str], other: list[str]) -> None:
    empty = TextSketch.fit(texts(sample))
    whole = empty.of(texts([*one, *other]))
    assert empty.of(texts(one)).merge(empty.of(texts(other))) == whole
    assert whole.rows == len(one) + len(other)
    assert whole.counts[-1] == sum(value is not None and value not in empty.values for value in [*one, *other])


def test_a_frequent_value_has_a_bin_of_its_own() -> None:
    values = np.concatenate([np.zeros(500), np.random.default_rng(0).exponential(size=500)])
    sketch = NumberSketch.fit(floats(values.tolist()), "float").of(floats([0.0, 0.0, 1e-9]))
    assert sorted(sketch.counts, reverse=True)[:2] == [2, 1]


def test_bins_are_even_and_few() -> None:
    values = np.random.default_rng(0).normal(size=32_000)
    sketch = NumberSketch.fit(floats(values.tolist()), "float").of(floats(values.tolist()))
    assert len(sketch.counts) == BINS + 2
    assert sketch.counts[0] == sketch.counts[-1] == 0
    assert max(sketch.counts) - min(sketch.counts[1:-1]) <= 2
    assert sketch.mean == pytest.approx(values.mean())
    assert sketch.std == pytest.approx(values.std())


def test_many_texts_are_cut_to_the_most_frequent() -> None:
    values = [str(index) for index in range(1_000)] + ["often"] * 5 + ["x" * 1_000] * 9
    sketch = TextSketch.fit(texts(values))
    assert sketch.values[0] == "often"
    assert len(sketch.values) == KEPT_VALUES
    assert not sketch.of(texts(values)).is_complete


def test_dates_have_one_bin() -> None:
    sketch = NumberSketch.fit(pl.Series([1, 2, 3]), "date").of(pl.Series([10**15, None]))
    assert (sketch.counts, sketch.missing, sketch.mean) == ([1], 1, None)


def test_other_bins_are_refused() -> None:
    with pytest.raises(DataError, match="other bins"):
        TextSketch.fit(texts(["a"])).merge(TextSketch.fit(texts(["b"])))


RAW = [
    RawColumn(name="x", type="double", kind="float"),
    RawColumn(name="c", type="string", kind="string"),
    RawColumn(name="flag", type="bool", kind="bool"),
    RawColumn(name="day", type="timestamp[us, tz=UTC]", kind="date"),
]


def frame(rows: int, seed: int = 0) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "x": generator.normal(size=rows),
            "c": generator.choice(["a", "b"], size=rows),
            "flag": generator.uniform(size=rows) < 0.5,
            "day": pl.Series(generator.integers(10**15, size=rows)).cast(pl.Datetime("us", "UTC")),
            PROBABILITY: pl.Series(generator.uniform(size=rows), dtype=pl.Float32),
            LABEL: pl.Series(generator.integers(2, size=rows), dtype=pl.Int8),
        }
    )


def test_a_profile_survives_json_and_counts_windows_in_its_bins() -> None:
    rows = frame(400)
    made = Profile.of_frame(rows.lazy(), RAW, rows.height).with_answers([rows[:100], rows[100:]])
    read = Profile.from_document(made.document())
    assert read == made
    assert {each.rows for each in [*made.columns.values(), *made.answers.values()]} == {300}
    one, other = (read.window([frame(50, seed).lazy()]) for seed in (1, 2))
    both = read.window([frame(50, 1).lazy(), frame(50, 2).lazy()])
    merged = one.merge(other)
    assert {name: each.counts for name, each in merged.columns.items()} == {
        name: each.counts for name, each in both.columns.items()
    }
    assert sum(both.answers[LABEL].counts) == 100
    assert read.window([frame(0).lazy()]).columns["c"].rows == 0


@pytest.mark.parametrize("document", [{}, [], {"format_version": 1, "raw": [], "columns": {"x": {"type": "other"}}}])
def test_what_is_no_profile_is_refused(document: object) -> None:
    with pytest.raises(CorruptDataError, match="not a profile"):
        Profile.from_document(document)


def test_another_format_is_refused() -> None:
    with pytest.raises(CorruptDataError, match="format_version 99"):
        Profile.from_document({"format_version": 99, "raw": [], "columns": {}})

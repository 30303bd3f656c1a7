"""Repeated rows are found wherever they stand, in two passes of bounded memory."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core.cleaning.base import ROW
from aimass.core.cleaning.duplicates import find_repeated

CELL = st.none() | st.integers(0, 3)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(CELL, CELL), max_size=40))
def test_the_first_of_equal_rows_stays(rows: list[tuple[int | None, int | None]]) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.Int64}, orient="row")
    expected = [index for index, row in enumerate(rows) if row in rows[:index]]
    assert find_repeated(frame.lazy().with_row_index(ROW)).tolist() == expected


def test_repeats_are_found_across_batches() -> None:
    rows = 140_000
    frame = pl.DataFrame({"a": [*range(rows), 5]})
    assert find_repeated(frame.lazy().with_row_index(ROW)).tolist() == [rows]

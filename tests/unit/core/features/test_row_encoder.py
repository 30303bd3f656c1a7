"""Encoding rows at once says what the canonicaliser says cell by cell, in results and in mistakes."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core.errors import AimassError, DataError, SchemaMismatchError
from aimass.core.features.canonical_rows import canonical_value
from aimass.core.features.raw import CONVERSIONS, Kind, RawColumn
from aimass.core.features.row_encoder import Block, RowEncoder, encode_rows
from aimass.core.reserved import NULL_STRING

TYPES = {"string": "string", "float": "double", "int": "int64", "bool": "bool", "date": "timestamp[us]"}
COLUMNS = [
    RawColumn(name=f"{native} as {kind}", type=TYPES[native], kind=kind, fold_case=kind == "string", unit="s")
    for native, kinds in CONVERSIONS.items()
    for kind in kinds
]
CELLS = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(
        [" Yes ", "2013-01-02", "1e3", "\u2003A\u0301", "", "2013-01-02T03:04:05.5Z", 10**400, NULL_STRING]
    )
)
ROWS = st.lists(st.fixed_dictionaries({column.name: CELLS for column in COLUMNS}), min_size=1, max_size=4)
PLAIN = {
    "string": st.none() | st.text(max_size=4),
    "float": st.none() | st.floats(allow_nan=False) | st.integers(-9, 9),
    "int": st.none() | st.integers(-(2**65), 2**65),
    "bool": st.none() | st.booleans(),
    "date": st.none() | st.sampled_from(["2013-01-02", "nonsense"]),
}
PLAIN_ROWS = st.lists(
    st.fixed_dictionaries({column.name: PLAIN[column.kind] for column in COLUMNS}), min_size=1, max_size=4
)


def cells_of(encoder: RowEncoder, block: Block) -> list[dict[str, Any]]:
    """Return the cells of a block by row, None where missing."""
    rows: list[dict[str, Any]] = [{} for _ in range(block.n_rows)]
    for at, row in enumerate(rows):
        for column, values in zip(encoder.strings, block.strings, strict=True):
            row[column.name] = None if values[at] == NULL_STRING else values[at]
        for column, values in zip(encoder.floats, block.floats, strict=True):
            row[column.name] = None if math.isnan(values[at]) else float(values[at])
        for column, values, gone in zip(encoder.ints, block.ints, block.missing, strict=True):
            assert values[at] == 0 or not gone[at]
            row[column.name] = None if gone[at] else int(values[at])
    return rows


def check_same(rows: list[dict[str, Any]]) -> None:
    encoder = RowEncoder(COLUMNS)
    try:
        expected = [{column.name: canonical_value(row[column.name], column) for column in COLUMNS} for row in rows]
        if any(cell == NULL_STRING for row in expected for cell in row.values()):
            raise DataError("reserved")
    except (AimassError, OverflowError):
        with pytest.raises((AimassError, OverflowError)):
            encoder.encode(rows)
        return
    assert cells_of(encoder, encoder.encode(rows)) == expected


@settings(deadline=None, max_examples=150)
@given(ROWS)
def test_any_cells_become_what_the_canonicaliser_says(rows: list[dict[str, Any]]) -> None:
    check_same(rows)


@settings(deadline=None, max_examples=150)
@given(PLAIN_ROWS)
def test_plain_cells_do_too(rows: list[dict[str, Any]]) -> None:
    check_same(rows)


@settings(deadline=None, max_examples=40)
@given(PLAIN_ROWS, PLAIN_ROWS)
def test_a_batch_is_its_requests_one_after_the_other(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    encoder = RowEncoder(COLUMNS)
    one, other = encoder.encode([clean(row) for row in first]), encoder.encode([clean(row) for row in second])
    both = Block.join([one, other])
    for matrix, expected in zip(both, encoder.encode([clean(row) for row in first + second]), strict=True):
        assert matrix.flags.c_contiguous
        np.testing.assert_array_equal(matrix, expected)
    for matrix, expected in zip(both.part(len(first), both.n_rows), other, strict=True):
        np.testing.assert_array_equal(matrix, expected)


def clean(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if cell == NULL_STRING else cell for name, cell in row.items()}


def test_feeds_are_views_by_input_with_masks_for_whole_numbers() -> None:
    columns = [RawColumn(name="a", type="double", kind="float"), RawColumn(name="b", type="int64", kind="int")]
    encoder = RowEncoder(columns)
    block = encoder.encode([{"a": 1, "b": None}, {"a": None, "b": 2}])
    feeds = encoder.feeds(block)
    assert list(feeds) == ["a", "b", "b__missing"]
    assert feeds["b__missing"].tolist() == [True, False]
    assert np.shares_memory(feeds["a"], block.floats)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_signature_of_one_column_works(kind: Any) -> None:
    feeds = encode_rows([{"x": None}, {"x": None}], [RawColumn(name="x", type=TYPES[kind], kind=kind)])
    assert feeds["x"].shape == (2,)


@pytest.mark.parametrize(
    ("row", "seen", "column"),
    [
        ({"a": 1.0}, "'b' is not in row 1", "b"),
        ({"a": 1.0, "b": 1, "bb": 2}, "no column 'bb'.*Did you mean 'b'", "bb"),
        ({"a": [1], "b": 1}, r"Row 1: Column 'a' got '\[1\]', a list", "a"),
    ],
)
def test_a_mistake_names_row_and_column(row: dict[str, Any], seen: str, column: str) -> None:
    columns = [RawColumn(name="a", type="double", kind="float"), RawColumn(name="b", type="int64", kind="int")]
    with pytest.raises(SchemaMismatchError, match=seen) as caught:
        RowEncoder(columns).encode([{"a": 0.5, "b": 0}, row])
    assert caught.value.details["column"] == column


def test_a_column_of_another_version_is_left_aside() -> None:
    encoder = RowEncoder([RawColumn(name="a", type="double", kind="float")])
    assert encoder.encode([{"a": 1.5, "new": "x"}], ignore={"new"}).floats.tolist() == [[1.5]]

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.errors import UnknownNameError
from aimass.core.reserved import NULL_STRING
from aimass.core.sources.casting import apply_overrides, cast_table
from aimass.core.sources.inference import infer_type

UTC = pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", " 2", None], pa.int64()),
        (["1", "2.5"], pa.float64()),
        (["1e300", "-inf"], pa.float64()),
        (["true", "FALSE"], pa.bool_()),
        (["2013-01-01", "2013-02-28"], pa.date32()),
        (["2013-01-01 10:00", "2013-02-28"], pa.timestamp("us")),
        (["2013-01-01T10:00:00Z", "2013-01-01T10:00:00.123456+08:00"], UTC),
        (["1", "x"], pa.large_string()),
        (["2013-02-30"], pa.large_string()),
        (["007", "123"], pa.large_string()),
        (["0.5", "0", "-0.25"], pa.float64()),
        (["0x1F"], pa.large_string()),
        (["123456789012345678901234567890"], pa.large_string()),
        ([None, None], pa.large_string()),
        (["1", "true"], pa.large_string()),
    ],
)
def test_infer_type_is_the_narrowest_that_fits(values: list[str | None], expected: pa.DataType) -> None:
    column = pa.chunked_array([pa.array([v if v is None else v.encode() for v in values], pa.large_binary())])
    assert infer_type(column) == expected


@given(values=st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1).map(str), st.text(max_size=5))))
def test_cast_keeps_what_fits_and_names_every_other_row(values: list[str | None]) -> None:
    column = pa.array([v if v is None else v.encode() for v in values], pa.large_binary())
    table, faults = cast_table(pa.table({"n": column}), pa.schema([("n", pa.int64())]))
    bad = [i for i, v in enumerate(values) if v is not None and not _is_int64(v)]
    assert [index for index, _ in faults] == bad
    assert table["n"].to_pylist() == [v if v is None else int(v) for i, v in enumerate(values) if i not in bad]


def _is_int64(text: str) -> bool:
    stripped = text.strip()
    digits = stripped.removeprefix("-")
    return digits.isascii() and digits.isdigit() and -(2**63) <= int(stripped) < 2**63


def test_first_reason_of_a_row_is_told() -> None:
    table = pa.table({"a": [b"x", b"1", b"2"], "b": [b"y", b"z", b"3"]})
    table = table.cast(pa.schema([("a", pa.large_binary()), ("b", pa.large_binary())]))
    kept, faults = cast_table(table, pa.schema([("a", pa.int64()), ("b", pa.int64())]))
    assert faults == [(0, "column a: not int64"), (1, "column b: not int64")]
    assert kept.to_pylist() == [{"a": 2, "b": 3}]


def test_bytes_that_are_no_text_and_the_reserved_value_are_refused() -> None:
    values = [b"ok", b"\xff", NULL_STRING.encode()]
    table = pa.table({"s": pa.array(values, pa.large_binary())})
    _, faults = cast_table(table, pa.schema([("s", pa.large_string())]))
    assert faults == [(1, "column s: not valid text"), (2, "column s: the value that stands for null")]


def test_overrides_are_known_by_column_and_type() -> None:
    schema = pa.schema([("a", pa.int64())])
    assert apply_overrides(schema, {"a": "string"}).field("a").type == pa.large_string()
    with pytest.raises(UnknownNameError, match="'a'"):
        apply_overrides(schema, {"aa": "string"})
    with pytest.raises(UnknownNameError, match="'integer'"):
        apply_overrides(schema, {"a": "intger"})

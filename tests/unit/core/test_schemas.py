from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.errors import SchemaMismatchError
from aimass.core.schemas import conform, merge_schemas

TYPES = [
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float32(),
    pa.float64(), pa.decimal128(10, 2), pa.decimal128(12, 2), pa.decimal128(12, 3), pa.date32(), pa.timestamp("s"),
    pa.timestamp("us"), pa.timestamp("us", tz="UTC"), pa.large_string(), pa.bool_(), pa.null(),
]  # fmt: skip
ANY = st.sampled_from(TYPES)


def merged(before: pa.DataType, now: pa.DataType) -> pa.DataType:
    return merge_schemas(pa.schema([("c", before)]), pa.schema([("c", now)])).schema.field("c").type


@pytest.mark.parametrize(
    ("before", "now", "wide"),
    [
        (pa.int16(), pa.int64(), pa.int64()),
        (pa.int64(), pa.int16(), pa.int64()),
        (pa.uint32(), pa.int64(), pa.int64()),
        (pa.int32(), pa.float64(), pa.float64()),
        (pa.float32(), pa.float64(), pa.float64()),
        (pa.int32(), pa.decimal128(20, 2), pa.decimal128(20, 2)),
        (pa.decimal128(10, 2), pa.decimal128(12, 3), pa.decimal128(12, 3)),
        (pa.date32(), pa.timestamp("us"), pa.timestamp("us")),
        (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("us")),
        (pa.null(), pa.large_string(), pa.large_string()),
    ],
)
def test_the_wider_type_is_taken(before: pa.DataType, now: pa.DataType, wide: pa.DataType) -> None:
    assert merged(before, now) == wide


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (pa.int64(), pa.float64()),
        (pa.int64(), pa.uint64()),
        (pa.int64(), pa.large_string()),
        (pa.decimal128(10, 2), pa.decimal128(10, 3)),
        (pa.timestamp("us"), pa.timestamp("us", tz="UTC")),
        (pa.bool_(), pa.int64()),
    ],
)
def test_what_would_lose_values_is_refused(before: pa.DataType, now: pa.DataType) -> None:
    with pytest.raises(SchemaMismatchError, match="'c' has become"):
        merged(before, now)


@pytest.mark.parametrize("types", [(pa.int64(), pa.float64()), (pa.float64(), pa.int64())])
def test_whole_numbers_that_were_guessed_become_doubles(types: tuple[pa.DataType, pa.DataType]) -> None:
    before, now = (pa.schema([("c", each)]) for each in types)
    assert merge_schemas(before, now, inferred=True).schema.field("c").type == pa.float64()


@given(ANY, ANY)
def test_merging_knows_no_order_and_what_is_merged_holds_both(one: pa.DataType, other: pa.DataType) -> None:
    try:
        wide = merged(one, other)
    except SchemaMismatchError:
        with pytest.raises(SchemaMismatchError):
            merged(other, one)
        return
    assert merged(other, one) == wide
    assert merged(one, wide) == merged(other, wide) == wide


@given(st.dictionaries(st.sampled_from("abcd"), ANY), st.dictionaries(st.sampled_from("abcd"), ANY))
def test_rows_of_both_fit_what_is_merged(before: dict[str, pa.DataType], now: dict[str, pa.DataType]) -> None:
    try:
        found = merge_schemas(pa.schema(list(before.items())), pa.schema(list(now.items())))
    except SchemaMismatchError:
        return
    assert found.schema.names == [*before, *found.added]
    assert set(found.lost) == before.keys() - now.keys()
    for columns in (before, now):
        table = pa.table({name: pa.nulls(2, dtype) for name, dtype in columns.items()} or {"a": pa.nulls(2)})
        if columns:
            assert conform(table, found.schema).schema == found.schema


def test_values_that_do_not_fit_are_told() -> None:
    schema = pa.schema([("a", pa.int8())])
    assert conform(pa.table({"a": [1, None]}), schema).schema == schema
    with pytest.raises(SchemaMismatchError, match="do not fit"):
        conform(pa.table({"a": [1_000]}), schema)
    with pytest.raises(SchemaMismatchError, match="'b' is not in"):
        conform(pa.table({"b": [1]}), schema)

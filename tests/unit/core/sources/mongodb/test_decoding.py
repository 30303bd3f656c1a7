"""Documents become rows by rules; many at once or one by one, the rows are the same."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from typing import Any

import bson
import numpy as np
import pyarrow as pa
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core.errors import EmptyDataError, SchemaMismatchError, UnknownNameError
from aimass.core.sources.mongodb.batches import BatchDecoder, RawDocuments
from aimass.core.sources.mongodb.columns import Column, Plan, infer, merge, with_types
from aimass.core.sources.mongodb.decoding import decode_document, to_row, to_table
from aimass.core.sources.mongodb.lockstep import MAX_ITEMS, Lockstep
from aimass.core.sources.mongodb.values import EXACT, MisfitError

NAMES = st.sampled_from(["a", "b", "c", "key", "eight_by", "longer_than_8", "ümlaut", ""])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(-(1 << 63), (1 << 63) - 1).map(Int64),
    st.floats(),
    st.integers(-1000, 1000).map(float),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    st.binary(max_size=5),
    st.binary(max_size=5).map(lambda data: Binary(data, 2)),
    st.uuids().map(lambda found: Binary(found.bytes, 4)),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.integers(-(1 << 63), (1 << 63) - 1).map(DatetimeMS),
    st.integers(-(1 << 40), 1 << 40).map(DatetimeMS),
    st.builds(Timestamp, st.integers(0, (1 << 32) - 1), st.integers(0, 9)),
    st.decimals(places=2, min_value=-9999, max_value=9999).map(Decimal128),
    st.sampled_from([Decimal128("NaN"), Decimal128("1E+6000"), Decimal128("-0")]),
    st.sampled_from([Regex("^a", "i"), Code("f()"), Code("f()", {"x": 1}), MinKey(), MaxKey()]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=8
)
# Most documents of a collection are alike: some fields keep one type.
DOCUMENTS = st.fixed_dictionaries(
    {"_id": st.integers(0, 99)},
    optional={
        "n": st.integers(-5, 5) | st.floats(),
        "text": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
        "at": st.integers(0, 1 << 41).map(DatetimeMS),
        "in": st.fixed_dictionaries({"x": st.floats(), "y": st.fixed_dictionaries({"z": st.booleans() | st.none()})}),
        "tags": st.lists(st.text(max_size=3).filter(lambda text: "\0" not in text) | st.none(), max_size=4),
        "numbers": st.lists(st.integers(-9, 9) | st.floats(), max_size=4),
        "other": VALUES,
        "price": st.decimals(places=2, min_value=0, max_value=99).map(Decimal128),
    },
)


def _with_id(document: dict[str, Any]) -> dict[str, Any]:
    return {"_id": 1, **document}


def _plan(documents: list[dict[str, Any]], extra: str = "reject", types: dict[str, str] | None = None) -> Plan:
    sample = [decode_document(bson.encode(document)) for document in documents]
    columns = infer(sample, max_depth=2, arrays="list", where="the collection")
    return Plan(tuple(with_types(columns, types or {})), extra)


def _raw(documents: list[dict[str, Any]]) -> RawDocuments:
    return RawDocuments(b"".join(map(bson.encode, documents)))


def _slow(raw: RawDocuments, plan: Plan) -> dict[int, dict[str, Any]]:
    rows = {}
    for index, data in enumerate(raw):
        try:
            rows[index] = to_row(decode_document(data), plan, plan.root)
        except MisfitError:
            continue
    return rows


def _same(left: pa.Table, right: pa.Table) -> bool:
    """Compare; Python's own dates end with the year 9999."""
    numbers = pa.schema([f.with_type(pa.int64()) if pa.types.is_timestamp(f.type) else f for f in left.schema])
    return left.schema == right.schema and left.cast(numbers).to_pylist() == right.cast(numbers).to_pylist()


@settings(max_examples=150, deadline=None)
@given(st.lists(DOCUMENTS, min_size=1, max_size=12), st.data(), st.sampled_from(["reject", "collect", "ignore"]))
def test_many_at_once_become_what_they_become_one_by_one(
    documents: list[dict[str, Any]], data: st.DataObject, extra: str
) -> None:
    sample = data.draw(st.lists(st.sampled_from(documents), min_size=1))
    plan = _plan(sample, extra)
    raw = _raw(documents)
    fast = Lockstep(raw.data, raw.starts, plan)
    slow = _slow(raw, plan)
    even = np.flatnonzero(~fast.is_odd).tolist()
    # What it did not leave to the other is what the other says, too.
    assert set(even) <= set(slow)
    assert _same(fast.table.take(pa.array(even, pa.int64())), to_table([slow[index] for index in even], plan))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=5).map(_with_id), min_size=1, max_size=8))
def test_any_documents_are_rows_or_rejects(documents: list[dict[str, Any]]) -> None:
    try:
        plan = _plan(documents)
    except SchemaMismatchError:
        return
    raw = _raw(documents)
    rows, rejects = BatchDecoder(plan, plan.schema).decode(raw)
    assert rows.num_rows + (0 if rejects is None else rejects.num_rows) == len(documents)
    assert rows.schema == plan.schema


@settings(max_examples=50, deadline=None)
@given(st.lists(DOCUMENTS, min_size=1, max_size=4), st.sampled_from(["reject", "collect", "ignore"]))
def test_no_documents_are_no_rows(documents: list[dict[str, Any]], extra: str) -> None:
    """All of an answer may have come after the position was taken, or have been deleted since."""
    plan = _plan(documents, extra)
    rows, rejects = BatchDecoder(plan, plan.schema).decode(_raw(documents).where([False] * len(documents)))
    assert (rows.num_rows, rows.schema, rejects) == (0, plan.schema, None)


@settings(max_examples=100, deadline=None)
@given(st.lists(DOCUMENTS, min_size=1, max_size=4), st.data())
def test_broken_bytes_end_in_rejects_and_not_in_nonsense(documents: list[dict[str, Any]], data: st.DataObject) -> None:
    plan = _plan(documents)
    raw = bytearray(_raw(documents).data)
    for index in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[index] = data.draw(st.integers(0, 255))
    broken = RawDocuments(bytes(raw))
    fast = Lockstep(broken.data, broken.starts, plan)
    slow = _slow(broken, plan)
    even = np.flatnonzero(~fast.is_odd).tolist()
    assert set(even) <= set(slow)
    assert _same(fast.table.take(pa.array(even, pa.int64())), to_table([slow[index] for index in even], plan))


def test_alike_documents_are_never_odd() -> None:
    documents = [
        {"_id": ObjectId(), "n": i, "s": f"text {i}", "in": {"x": i / 2, "deep": {"er": [1]}}, "tags": ["a"] * (i % 3)}
        for i in range(100)
    ]
    for index, document in enumerate(documents):
        if index % 3:
            document["optional"] = True
    plan = _plan(documents)
    raw = _raw(documents)
    assert not Lockstep(raw.data, raw.starts, plan).is_odd.any()


def test_every_type_has_its_column() -> None:
    identity, key = ObjectId(), uuid.uuid4()
    document = {
        "_id": identity,
        "i": 1,
        "l": Int64(1 << 40),
        "d": 1.5,
        "b": True,
        "s": "text",
        "at": datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.UTC),
        "ts": Timestamp(1_700_000_000, 7),
        "u": Binary(key.bytes, 4),
        "bin": b"\x00\x01",
        "re": Regex("^a", "im"),
        "js": Code("f()"),
        "money": Decimal128("12.50"),
        "none": None,
        "list": [1, 2.5, None],
        "mixed": [1, "a"],
        "in": {"x": {"y": {"z": 1}}},
        "min": MinKey(),
    }
    plan = _plan([document])
    row = BatchDecoder(plan, plan.schema).decode(_raw([document]))[0].to_pylist()[0]
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.UTC)
    assert row == {
        "_id": str(identity),
        "i": 1,
        "l": 1 << 40,
        "d": 1.5,
        "b": True,
        "s": "text",
        "at": moment,
        "ts": datetime.datetime.fromtimestamp(1_700_000_000, datetime.UTC),
        "u": str(key),
        "bin": b"\x00\x01",
        "re": "/^a/im",
        "js": "f()",
        "money": decimal.Decimal("12.50"),
        "none": None,
        "list": [1.0, 2.5, None],
        "mixed": '[1, "a"]',
        "in.x": '{"y": {"z": 1}}',
        "min": '{"$minKey": 1}',
    }


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("5", "column n: text is not an integer"),
        (5.5, "column n: a double is not an integer"),
        (True, "column n: a boolean is not an integer"),
        ({"a": 1}, "column n: a document is not an integer"),
        (Decimal128("5"), "column n: a decimal is not an integer"),
    ],
)
def test_a_misfit_is_kept_aside_with_its_id_and_the_reason(value: Any, reason: str) -> None:
    plan = _plan([{"_id": 1, "n": 1}])
    rows, rejects = BatchDecoder(plan, plan.schema).decode(_raw([{"_id": 1, "n": 2}, {"_id": 2, "n": value}]))
    assert rows.to_pylist() == [{"_id": 1, "n": 2}]
    assert rejects is not None
    (told,) = rejects.to_pylist()
    assert (told["where"], told["reason"]) == ("_id 2", reason)


def test_numbers_widen_where_nothing_is_lost() -> None:
    plan = _plan([{"n": 1, "d": 1}, {"n": 2, "d": 0.5}])
    documents: list[dict[str, Any]] = [
        {"n": 3.0, "d": 7},
        {"n": math.nan, "d": math.nan},
        {"n": 1, "d": Int64(EXACT + 1)},
    ]
    rows, rejects = BatchDecoder(plan, plan.schema).decode(_raw(documents))
    assert rows.to_pylist() == [{"n": 3, "d": 7.0}, {"n": None, "d": None}]
    assert rejects is not None
    assert rejects["reason"].to_pylist() == ["column d: an integer that a double cannot hold exactly"]


@pytest.mark.parametrize("extra", ["error", "reject", "collect", "ignore"])
def test_a_field_that_the_sample_has_not_is_treated_as_set(extra: str) -> None:
    plan = _plan([{"a": {"x": 1}}], extra)
    raw = _raw([{"a": {"x": 1}}, {"a": {"x": 2, "late": [1]}, "b": None}])
    decoder = BatchDecoder(plan, plan.schema)
    if extra == "error":
        with pytest.raises(SchemaMismatchError, match=r"field 'a\.late'"):
            decoder.decode(raw)
        return
    rows, rejects = decoder.decode(raw)
    if extra == "reject":
        assert rejects is not None
        assert rejects["reason"].to_pylist() == ["field a.late: the sample does not have it"]
    elif extra == "collect":
        assert rows["_extra"].to_pylist() == [None, '{"a.late": [1], "b": null}']
    else:
        assert rows.to_pylist() == [{"a.x": 1}, {"a.x": 2}]


def test_documents_where_a_sample_mostly_has_them_must_be_documents() -> None:
    plan = _plan([{"a": {"x": 1}}, {"a": {"x": 1}}, {"a": 5}])
    rows, rejects = BatchDecoder(plan, plan.schema).decode(_raw([{"a": {"x": 1}}, {"a": 5}, {"a": None}, {}]))
    assert rows.to_pylist() == [{"a.x": 1}, {"a.x": None}, {"a.x": None}]
    assert rejects is not None
    assert rejects["reason"].to_pylist() == ["field a: an integer is not a document"]


def test_long_lists_and_fields_in_any_order_are_read() -> None:
    first = {"a": 1, "b": list(range(MAX_ITEMS * 2)), "c": 3, "d": 4, "e": 5}
    documents = [first, dict(reversed(list(first.items()))), {"a": 2}]
    plan = _plan([first])
    rows, rejects = BatchDecoder(plan, plan.schema).decode(_raw(documents))
    assert rejects is None
    assert rows.to_pylist() == [first, first, {"a": 2, "b": None, "c": None, "d": None, "e": None}]


def test_text_that_is_none_is_kept_aside() -> None:
    plan = _plan([{"_id": 1, "s": "good"}])
    broken = bson.encode({"_id": 7, "s": "bad!"}).replace(b"bad!", b"b\xffd!")
    rows, rejects = BatchDecoder(plan, plan.schema).decode(RawDocuments(bson.encode({"_id": 6, "s": "ok"}) + broken))
    assert rows.to_pylist() == [{"_id": 6, "s": "ok"}]
    assert rejects is not None
    assert rejects["where"].to_pylist() == ["_id 7"]


def test_types_are_set_by_name() -> None:
    sample = [{"i": 1, "s": "5", "m": Decimal128("1.25"), "at": DatetimeMS(0), "any": 1, "doc": {"x": 1}}]
    types = {"i": "int32", "s": "integer", "m": "decimal(6,3)", "at": "date", "any": "string", "new.one": "double"}
    plan = _plan(sample, types=types)
    documents = [*sample, {"s": "x"}, {"any": ObjectId("6b05bcca0f1eda4d0ddb4b6a"), "new": {"one": 2}}]
    rows, rejects = BatchDecoder(plan, plan.schema).decode(_raw(documents))
    assert plan.schema.field("i").type == pa.int32()
    assert plan.schema.field("m").type == pa.decimal128(6, 3)
    assert rows["at"].to_pylist()[0] == datetime.date(1970, 1, 1)
    assert rows["any"].to_pylist() == ["1", "6b05bcca0f1eda4d0ddb4b6a"]
    assert rows["new.one"].to_pylist() == [None, 2.0]
    assert rejects is not None
    assert rejects["reason"].to_pylist() == ["column s: not int64"]
    with pytest.raises(UnknownNameError, match="intger"):
        _plan(sample, types={"i": "intger"})


def test_columns_go_through_a_position_and_only_widen() -> None:
    first = infer([{"n": 1, "m": Decimal128("1.5"), "gone": 1, "nil": None}], max_depth=2, arrays="list", where="x")
    assert [Column.from_document(column.document()) for column in first] == first
    later = infer([{"n": 1.5, "m": Decimal128("1.25"), "new": [1], "nil": "a"}], max_depth=2, arrays="list", where="x")
    merged = {column.name: column for column in merge(first, later)}
    assert {name: column.kind for name, column in merged.items()} == {
        "n": "double",
        "m": "decimal",
        "gone": "integer",
        "nil": "text",
        "new": "list",
    }
    assert merged["m"].digits == (38, 2)


def test_names_that_meet_after_joining_are_an_error() -> None:
    with pytest.raises(SchemaMismatchError, match=r"'a\.b'"):
        infer([{"a": {"b": 1}, "a.b": 2}], max_depth=2, arrays="json", where="the collection x")


def test_nothing_has_no_columns() -> None:
    with pytest.raises(EmptyDataError, match="the collection x"):
        infer([], max_depth=2, arrays="json", where="the collection x")

"""JSON decoded at once is JSON decoded value by value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core.sources.kafka.json_values import decoder_of, json_schema

TYPES = {"i": "integer", "f": "double", "s": "string", "b": "boolean", "t": "timestamp_utc"}
CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.just("2026-01-31T12:00:00Z"),
    st.lists(st.integers(), max_size=2),
)
FITTING = st.fixed_dictionaries(
    {},
    optional={
        "i": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        "f": st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**53), 2**53)),
        "s": st.one_of(st.none(), st.text(max_size=8)),
        "b": st.one_of(st.none(), st.booleans()),
        "more": st.recursive(st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=5),
    },
)
RECORDS = st.dictionaries(st.sampled_from([*TYPES, "more"]), CELLS, max_size=6)
SPELLED = st.one_of(FITTING, FITTING, RECORDS).map(lambda record: json.dumps(record).encode())
VALUES = st.one_of(SPELLED, SPELLED, SPELLED, st.binary(max_size=12))


def decoder() -> Any:
    return decoder_of(TYPES, columns=None, types={}, where="here")


@given(st.lists(VALUES, max_size=30))
@settings(max_examples=200, deadline=None)
def test_at_once_and_one_by_one_are_the_same(values: list[bytes]) -> None:
    fast, slow = decoder().decode(values), decoder().decode_slowly(values)
    assert fast.faults == slow.faults
    assert repr(fast.rows.to_pylist()) == repr(slow.rows.to_pylist())


@pytest.mark.parametrize(
    "value",
    [
        b'{"f":-0}',
        b'{"f":1e400}',
        b'{"i":1.0}',
        b'{"i":1e3}',
        b'{"f":NaN}',
        b'{"more":NaN}',
        b'{"s":"NaN: NaN"}',
        b'{"i":1}{"i":2}',
        b'{"i":1,"i":2}',
        b'{"more":{},\n"i":1}',
        b'{"s":"\xff"}',
        b'{"more":"\xff"}',
        rb'{"s":"\ud83d"}',
        b'{"more":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b"",
        b"{",
    ],
)
def test_strange_values_are_the_same_beside_others(value: bytes) -> None:
    values = [b'{"i":7}', value, b'{"f":0.1}']
    fast, slow = decoder().decode(values), decoder().decode_slowly(values)
    assert fast.faults == slow.faults
    assert repr(fast.rows.to_pylist()) == repr(slow.rows.to_pylist())


def test_lines_that_complete_each_other_are_no_rows() -> None:
    values = [b'{"more":{}', b',"i":1}', b'{"i":2}{"i":3}', b'{"i":4}']
    assert decoder().decode(values).rows["i"].to_pylist() == [4]


def test_what_was_inferred_before_goes_on() -> None:
    earlier = {"n": "double", "s": "string", "gone": "boolean", "w": "integer"}
    found = json_schema([b'{"n":1,"s":5,"w":0.5,"new":"2026-01-31"}', b"bad", None], earlier=earlier)
    assert found == {"n": "double", "s": "string", "gone": "boolean", "w": "double", "new": "date"}

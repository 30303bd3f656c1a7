"""One row read straight from JSON: the bits that the encoder gives, or nothing."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.errors import DataError
from aimass.core.features.raw import RawColumn
from aimass.core.features.row_encoder import RowEncoder
from aimass.core.reserved import NULL_STRING
from aimass.serving.errors import ServingError
from aimass.serving.one_row import KNOWN_TEXTS, OneRow, RowReader
from aimass.serving.rest_predict import read_rows

ENCODER = RowEncoder(
    [
        RawColumn(name="place", type="string", kind="string", fold_case=True),
        RawColumn(name="x", type="double", kind="float"),
        RawColumn(name="a b", type="string", kind="string"),
        RawColumn(name="n", type="int64", kind="int"),
        RawColumn(name="flag", type="bool", kind="bool"),
        RawColumn(name="day", type="timestamp[us]", kind="date"),
        RawColumn(name="seconds", type="int64", kind="date", unit="s"),
        RawColumn(name="ÿ", type="float", kind="float"),
    ]
)
READER = RowReader(ENCODER)
ROW = {"place": "JFK", "x": 1.5, "a b": " b ", "n": 3, "flag": True, "day": "2024-02-29", "seconds": 5, "ÿ": None}

texts = st.text() | st.sampled_from(["", " JFK", "É", "e\u0301", NULL_STRING, "2024-02-29T01:02:03Z", "12", "yes"])
numbers = (
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([2**53 + 1, 2**63, -(2**63)])
)
cells = st.none() | st.booleans() | numbers | texts


def bits(encoder: RowEncoder, body: bytes) -> list[Any] | None:
    """Return what the encoder makes of a body; None where it refuses it."""
    try:
        return [
            matrix.tobytes() if matrix.dtype != object else matrix.tolist()
            for matrix in encoder.encode(read_rows(body))
        ]
    except (DataError, ServingError):
        return None


def read(body: bytes, reader: RowReader = READER, encoder: RowEncoder = ENCODER) -> list[Any] | None:
    row = OneRow(encoder)
    if not reader.read(body, row):
        return None
    return [matrix.tobytes() if matrix.dtype != object else matrix.tolist() for matrix in row.block]


@given(st.fixed_dictionaries({name: st.just(value) | cells for name, value in ROW.items()}))
def test_a_row_that_is_read_has_the_bits_that_the_encoder_gives(row: dict[str, Any]) -> None:
    body = json.dumps({"rows": [row]}).encode()
    found = read(body)
    assert found is None or found == bits(ENCODER, body)


@given(
    st.none() | st.text(),
    st.none() | st.floats(-1e18, 1e18),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
)
def test_a_row_of_the_columns_own_types_is_read(text: str | None, x: float | None, n: int | None, flag: bool) -> None:
    body = json.dumps({"rows": [{**ROW, "place": text, "x": x, "n": n, "flag": flag}]}).encode()
    found = read(body)
    assert found == bits(ENCODER, body)
    assert found is not None or text == NULL_STRING


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"nonsense", b'{"rows":[]}', b'{"rows":[{}]}', b'{"rows":' + b"[" * 5000, b"\xff",
        json.dumps({"rows": [ROW, ROW]}).encode(),
        json.dumps({"rows": [ROW], "more": 1}).encode(),
        json.dumps({"rows": [ROW | {"other": 1}]}).encode(),
        json.dumps({"rows": [ROW | {"x": True}]}).encode(),
        json.dumps({"rows": [ROW | {"x": 2**64}]}).encode(),
        json.dumps({"rows": [ROW | {"n": 3.0}]}).encode(),
        json.dumps({"rows": [ROW | {"place": NULL_STRING}]}).encode(),
        json.dumps({"rows": [ROW | {"x": math.inf}]}).encode(),
    ],
)  # fmt: skip
def test_whatever_else_a_body_holds_is_left_to_the_encoder(body: bytes) -> None:
    assert read(body) is None


def test_memory_is_filled_anew_and_feeds_view_it() -> None:
    row = OneRow(ENCODER)
    assert READER.read(json.dumps({"rows": [ROW]}).encode(), row)
    assert READER.read(json.dumps({"rows": [ROW | {"place": None, "x": None, "n": None}]}).encode(), row)
    feeds = {name: array.tolist() for name, array in row.feeds.items()}
    assert (feeds["place"], feeds["a b"], feeds["n"], feeds["n__missing"]) == ([NULL_STRING], ["b"], [0], [True])
    assert math.isnan(feeds["x"][0])
    assert all(array.flags.aligned for array in row.feeds.values())
    row.copy(ENCODER.encode([ROW]))
    assert row.feeds["place"].tolist() == ["jfk"]


def test_only_so_many_texts_are_remembered() -> None:
    for number in range(KNOWN_TEXTS + 100):
        assert read(json.dumps({"rows": [ROW | {"place": f"P{number}"}]}).encode()) is not None
    assert len(READER._known[0]) <= KNOWN_TEXTS + 1


def test_columns_whose_names_no_class_can_have_are_left_to_the_encoder() -> None:
    encoder = RowEncoder([RawColumn(name='say "x"', type="double", kind="float")])
    assert read(json.dumps({"rows": [{'say "x"': 1.0}]}).encode(), RowReader(encoder), encoder) is None

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aimass.core.errors import DataError, SchemaMismatchError
from aimass.core.features.raw import RawColumn
from aimass.core.features.row_encoder import RowEncoder
from aimass.core.reserved import NULL_STRING
from aimass.serving.errors import MalformedError
from aimass.serving.tensor_rows import block_of, input_metadata
from aimass.serving.tensors import Tensor

COLUMNS = [
    RawColumn(name="carrier", type="string", kind="string", fold_case=True),
    RawColumn(name="distance", type="double", kind="float"),
    RawColumn(name="hour", type="int64", kind="int"),
    RawColumn(name="is_heavy", type="bool", kind="bool"),
    RawColumn(name="scheduled", type="timestamp[us, tz=UTC]", kind="date"),
]
ENCODER = RowEncoder(COLUMNS)

JSON = {
    "carrier": ("BYTES", [" AA ", None, ""]),
    "distance": ("FP64", [1.5, None, 7]),
    "hour": ("INT64", [1, None, -5]),
    "is_heavy": ("BOOL", [True, None, False]),
    "scheduled": ("BYTES", ["2013-01-01", None, "2013-01-01T00:00:01Z"]),
}


def tensors(**changed: tuple[str, list[Any]] | None) -> list[Tensor]:
    wanted = {name: value for name, value in {**JSON, **changed}.items() if value is not None}
    return [Tensor.from_values(name, kind, [len(data)], data) for name, (kind, data) in wanted.items()]


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(one, other, strict=True))


def test_block_of_says_what_the_row_encoder_says():
    rows = [{name: data[index] for name, (_, data) in JSON.items()} for index in range(3)]
    assert same(block_of(tensors(), ENCODER), ENCODER.encode(rows))


def test_block_of_does_not_ask_for_an_order():
    assert same(block_of(reversed(tensors()), ENCODER), block_of(tensors(), ENCODER))


def test_block_of_takes_bytes_with_nan_empty_text_and_masks():
    by_bytes = {
        "carrier": ("BYTES", b"\4\0\0\0 AA " + bytes(8)),
        "distance": ("FP64", np.array([1.5, np.nan, 7.0])),
        "hour": ("INT32", np.array([1, 99, -5], np.int32)),
        "hour__missing": ("BOOL", np.array([False, True, False])),
        "is_heavy": ("BOOL", np.array([True, True, False])),
        "is_heavy__missing": ("BOOL", np.array([False, True, False])),
        "scheduled": ("INT64", np.array([1356998400000000, 0, 1356998401000000])),
        "scheduled__missing": ("BOOL", np.array([False, True, False])),
    }
    sent = [Tensor.from_bytes(name, kind, [3], bytes(data)) for name, (kind, data) in by_bytes.items()]
    assert same(block_of(sent, ENCODER), block_of(tensors(), ENCODER))


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("FP32", [0.1], float(np.float32(0.1))),
        ("INT8", [3], 3.0),
        ("BYTES", ["2.5"], 2.5),
        ("BYTES", ["two"], np.nan),
        ("FP64", [float("inf")], np.nan),
    ],
)
def test_block_of_canonicalises_floats(kind, data, expected):
    block = block_of(
        [Tensor.from_values("x", kind, [1], data)], RowEncoder([RawColumn(name="x", type="double", kind="float")])
    )
    assert np.array_equal(block.floats, [[expected]], equal_nan=True)


def test_block_of_calls_uint64_beyond_int64_missing():
    column = RawColumn(name="x", type="uint64", kind="int")
    block = block_of([Tensor.from_values("x", "UINT64", [2], [5, (1 << 64) - 1])], RowEncoder([column]))
    assert block.ints.tolist() == [[5, 0]]
    assert block.missing.tolist() == [[False, True]]


def test_block_of_names_a_missing_column():
    with pytest.raises(SchemaMismatchError) as caught:
        block_of(tensors(hour=None, hours=("INT64", [1, 2, 3])), ENCODER)
    assert caught.value.details == {"column": "hour", "nearest": "hours"}


def test_block_of_names_an_extra_tensor_and_the_nearest_column():
    with pytest.raises(SchemaMismatchError, match="Did you mean 'hour'"):
        block_of(tensors(hourr=("INT64", [1, 2, 3])), ENCODER)


def test_block_of_takes_no_mask_for_texts():
    with pytest.raises(SchemaMismatchError, match="carrier__missing"):
        block_of(tensors(carrier__missing=("BOOL", [True, True, True])), ENCODER)


def test_block_of_takes_no_mask_that_is_not_boolean():
    with pytest.raises(SchemaMismatchError, match="BOOL"):
        block_of(tensors(hour__missing=("INT64", [1, 1, 1])), ENCODER)


def test_block_of_refuses_a_datatype_that_cannot_become_the_column():
    with pytest.raises(SchemaMismatchError, match="carrier"):
        block_of(tensors(carrier=("FP64", [1.5, 2.5, 3.5])), ENCODER)


def test_block_of_refuses_the_reserved_text():
    with pytest.raises(DataError, match="reserved"):
        block_of(tensors(carrier=("BYTES", [NULL_STRING, "a", "b"])), ENCODER)


def test_block_of_refuses_different_numbers_of_rows():
    with pytest.raises(MalformedError, match="rows"):
        block_of(tensors(hour=("INT64", [1])), ENCODER)


def test_block_of_refuses_a_tensor_that_is_there_twice():
    with pytest.raises(MalformedError, match="twice"):
        block_of([*tensors(), *tensors()], ENCODER)


def test_block_of_refuses_no_inputs():
    with pytest.raises(MalformedError, match="no inputs"):
        block_of([], ENCODER)


def test_input_metadata_names_natural_datatypes():
    assert [each["datatype"] for each in input_metadata(COLUMNS)] == ["BYTES", "FP64", "INT64", "BOOL", "INT64"]

from __future__ import annotations

import struct

import numpy as np
import pytest

from aimass.serving.errors import MalformedError
from aimass.serving.tensors import DATATYPES, Tensor, bytes_of, datatype_of


def packed(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_from_values_takes_flat_data_in_both_shapes(shape):
    assert Tensor.from_values("a", "FP64", shape, [1, 2.5]).values.tolist() == [1.0, 2.5]


def test_from_values_takes_one_value_lists():
    assert Tensor.from_values("a", "INT64", [2, 1], [[1], [2]]).values.tolist() == [1, 2]


def test_from_values_marks_nulls():
    tensor = Tensor.from_values("a", "BOOL", [3], [True, None, False])
    assert tensor.missing is not None
    assert tensor.missing.tolist() == [False, True, False]


def test_from_values_rounds_fp32_as_bytes_would():
    assert Tensor.from_values("a", "FP32", [2], [0.1, 1e300]).values.tolist() == [np.float32(0.1), np.inf]


@pytest.mark.parametrize(
    ("datatype", "shape", "data"),
    [
        ("FP64", [2], [1.0]),
        ("FP64", [2], [True, 1.0]),
        ("INT64", [1], [1.5]),
        ("INT64", [1], [1 << 64]),
        ("UINT8", [1], [-1]),
        ("BOOL", [1], [1]),
        ("BYTES", [1], [1]),
        ("BYTES", [1], [{}]),
        ("FP64", [2, 1], [[1.0, 2.0]]),
        ("FP64", [1, 2], [1.0, 2.0]),
        ("FP64", [2, 1], [[1.0], 2.0]),
        ("FP64", [0], []),
        ("FP64", [-1], []),
        ("FP64", [], [1.0]),
        ("FP64", [1 << 62], [1.0]),
        ("BF16", [1], [1.0]),
        ("FP64", [1], [10**400]),
    ],
)
def test_from_values_refuses_what_contradicts_itself(datatype, shape, data):
    with pytest.raises(MalformedError, match="'a'"):
        Tensor.from_values("a", datatype, shape, data)


@pytest.mark.parametrize("datatype", [name for name in DATATYPES if name != "BYTES"])
def test_bytes_of_every_number_come_back(datatype):
    array = np.array([0, 1, 1], DATATYPES[datatype])
    tensor = Tensor.from_bytes("a", datatype_of(array), [3], bytes_of(array))
    assert tensor.datatype == datatype
    assert tensor.values.tolist() == array.tolist()


def test_bytes_of_texts_come_back():
    array = np.array(["", "é", "x" * 300, "a\0b"], dtype=object)
    assert Tensor.from_bytes("a", datatype_of(array), [4], bytes_of(array)).values.tolist() == array.tolist()


@pytest.mark.parametrize("longest", ["", "x" * 255, "x" * 256, "y" * 70_000])
def test_texts_of_every_length_come_back(longest):
    array = np.array(["a", "", "", "a", "\x07", longest, "é" * 127, "a"], dtype=object)
    assert Tensor.from_bytes("a", "BYTES", [8], bytes_of(array)).values.tolist() == array.tolist()


@pytest.mark.parametrize("length", [3, 300])
def test_texts_that_do_not_add_up_are_told_so_whatever_they_hold(length):
    raw = packed(b"a", "é".encode() * length)
    with pytest.raises(MalformedError, match="do not add up"):
        Tensor.from_bytes("a", "BYTES", [2], raw[:-1])


@pytest.mark.parametrize(
    ("datatype", "shape", "raw"),
    [
        ("FP64", [2], bytes(8)),
        ("FP64", [1], bytes(9)),
        ("BOOL", [1], b"\x02"),
        ("BYTES", [1], b""),
        ("BYTES", [1], b"\x02\0\0\0a"),
        ("BYTES", [1], packed(b"a", b"b")),
        ("BYTES", [2], packed(b"abcd")),
        ("BYTES", [1], packed(b"\xff")),
        ("BYTES", [1], b"\xff\xff\xff\xff"),
        ("BYTES", [1 << 40], packed(b"a")),
        ("FP64", [1 << 61], bytes(8)),
    ],
)
def test_from_bytes_refuses_sizes_that_do_not_fit(datatype, shape, raw):
    with pytest.raises(MalformedError, match="'a'"):
        Tensor.from_bytes("a", datatype, shape, raw)

"""Whatever bytes come, the tensor parser answers with rows, or with an error of the documented kinds.

AIMASS_FUZZ_EXAMPLES sets how long it is tried; the default is for every run of the tests.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core.errors import DataError
from aimass.core.features.raw import RawColumn
from aimass.core.features.row_encoder import RowEncoder
from aimass.serving.errors import MalformedError
from aimass.serving.grpc_messages import tensors_of
from aimass.serving.infer_json import read
from aimass.serving.proto import open_inference_pb2 as messages
from aimass.serving.tensor_rows import block_of
from aimass.serving.tensors import DATATYPES, Tensor

ENCODER = RowEncoder(
    [
        RawColumn(name="s", type="string", kind="string"),
        RawColumn(name="f", type="double", kind="float"),
        RawColumn(name="i", type="int64", kind="int"),
        RawColumn(name="d", type="timestamp[us, tz=UTC]", kind="date"),
    ]
)
FUZZ = settings(max_examples=int(os.environ.get("AIMASS_FUZZ_EXAMPLES", "60")), deadline=None)

names = st.sampled_from(["s", "f", "i", "d", "i__missing", "s__missing", "other", ""])
numbers = st.integers(-(1 << 70), 1 << 70) | st.integers(-3, 3)
scalars = st.none() | st.booleans() | numbers | st.floats() | st.text(max_size=8)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
shapes = st.lists(numbers, max_size=3) | st.sampled_from([[1], [2], [2, 1]])
datatypes = st.sampled_from([*DATATYPES, "FP8", ""])
inputs = st.fixed_dictionaries(
    {"name": names, "shape": shapes, "datatype": datatypes},
    optional={
        "data": st.lists(scalars, max_size=3) | anything,
        "parameters": st.dictionaries(st.just("binary_data_size"), scalars),
    },
)
bodies = st.fixed_dictionaries({"inputs": st.lists(inputs, max_size=6)}, optional={"outputs": anything, "id": scalars})


def survives(body: bytes, header_length: int | None) -> None:
    try:
        block = block_of(read(body, header_length).tensors, ENCODER)
    except (MalformedError, DataError):
        return
    assert block.n_rows >= 1
    assert not np.isinf(block.floats).any()


@FUZZ
@given(st.binary(max_size=200), st.none() | st.integers(-5, 300))
def test_any_bytes(body, header_length):
    survives(body, header_length)


@FUZZ
@given(anything)
def test_any_json(document):
    survives(json.dumps(document).encode(), None)


@FUZZ
@given(bodies, st.binary(max_size=64))
def test_any_request_of_about_the_right_form(document, tail):
    head = json.dumps(document).encode()
    survives(head + tail, len(head))


@FUZZ
@given(bodies, st.binary(min_size=1, max_size=4), st.integers(0, 1000))
def test_a_damaged_request(document, bytes_, place):
    body = json.dumps(document).encode()
    place = min(place, len(body))
    survives(body[:place] + bytes_ + body[place + len(bytes_) :], None)


@FUZZ
@given(st.sampled_from(list(DATATYPES)), shapes, st.binary(max_size=64))
def test_any_bytes_of_a_tensor(datatype, shape, raw):
    try:
        tensor = Tensor.from_bytes("a", datatype, shape, raw)
    except MalformedError:
        return
    assert len(tensor.values) == shape[0]


contents = st.fixed_dictionaries(
    {},
    optional={
        "bool_contents": st.lists(st.booleans(), max_size=3),
        "int_contents": st.lists(st.integers(-(1 << 31), (1 << 31) - 1), max_size=3),
        "int64_contents": st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=3),
        "uint64_contents": st.lists(st.integers(0, (1 << 64) - 1), max_size=3),
        "fp32_contents": st.lists(st.floats(width=32), max_size=3),
        "fp64_contents": st.lists(st.floats(), max_size=3),
        "bytes_contents": st.lists(st.binary(max_size=8), max_size=3),
    },
)
grpc_shapes = st.lists(st.integers(-2, 3) | st.integers(-(1 << 63), (1 << 63) - 1), max_size=3)
grpc_inputs = st.lists(st.tuples(names, datatypes, grpc_shapes, st.none() | contents), max_size=5)


@FUZZ
@given(grpc_inputs, st.lists(st.binary(max_size=24), max_size=5))
def test_any_grpc_request(given_inputs: list[Any], raw: list[bytes]):
    request = messages.ModelInferRequest(raw_input_contents=raw)
    for name, datatype, shape, fields in given_inputs:
        typed = {} if fields is None else {"contents": messages.InferTensorContents(**fields)}
        request.inputs.add(name=name, datatype=datatype, shape=shape, **typed)
    try:
        block_of(tensors_of(request), ENCODER)
    except (MalformedError, DataError):
        return

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from aimass.serving.errors import MalformedError
from aimass.serving.infer_json import InferRequest, read, write

OUTPUTS = {"probability": np.array([0.25, 0.5], np.float32), "label": np.array([0, 1])}


def body(*inputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": list(inputs), **more}).encode()


def tensor(**changed: Any) -> dict[str, Any]:
    given = {"name": "a", "shape": [2], "datatype": "FP64", "data": [1.0, None], **changed}
    return {key: value for key, value in given.items() if value is not None}


def binary(size: Any, **changed: Any) -> dict[str, Any]:
    return tensor(data=None, parameters={"binary_data_size": size}, **changed)


def test_read_takes_json():
    request = read(body(tensor(), id="mine", outputs=[{"name": "label", "parameters": {"binary_data": True}}]))
    assert request.id == "mine"
    assert request.outputs == {"label": True}
    assert request.tensors[0].values.tolist() == [1.0, 0.0]


def test_read_takes_bytes_after_the_json_in_order():
    head = body(binary(16, name="a"), tensor(name="b"), binary(2, name="c", datatype="BOOL"))
    request = read(head + np.array([1.5, 2.5]).tobytes() + b"\x01\x00", len(head))
    assert [each.values.tolist() for each in request.tensors] == [[1.5, 2.5], [1.0, 0.0], [True, False]]


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        (body(binary(16)), bytes(15)),
        (body(binary(16)), bytes(17)),
        (body(binary(-1)), b""),
        (body(binary(True)), b"a"),
        (body(binary(1 << 70)), b"a"),
        (body(binary("16")), bytes(16)),
        (body(tensor(parameters={"binary_data_size": 16})), bytes(16)),
        (body(tensor(data=None)), b""),
        (body(tensor()), b"x"),
        (b"{}", b""),
        (b"", b""),
        (b"[" * 100_000, b""),
        (b'{"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": ' + b"[" * 100_000, b""),
        (b'{"inputs": "a"}', b""),
        (b"\xff\xfe", b""),
    ],
)
def test_read_refuses_what_contradicts_itself(head, rest):
    with pytest.raises(MalformedError):
        read(head + rest, len(head))


@pytest.mark.parametrize("length", [-1, 10_000])
def test_read_refuses_a_header_length_outside_the_body(length):
    with pytest.raises(MalformedError, match="Inference-Header-Content-Length"):
        read(body(tensor()), length)


def test_write_answers_with_everything_as_json():
    text, length = write("m", "3", OUTPUTS, InferRequest("", [], {}), request_id="r")
    assert length is None
    assert json.loads(text) == {
        "model_name": "m",
        "model_version": "3",
        "id": "r",
        "outputs": [
            {"name": "probability", "datatype": "FP32", "shape": [2], "data": [0.25, 0.5]},
            {"name": "label", "datatype": "INT64", "shape": [2], "data": [0, 1]},
        ],
    }


def test_write_answers_with_what_is_asked_in_bytes():
    raw, length = write("m", "3", OUTPUTS, InferRequest("mine", [], {"label": True}), request_id="r")
    assert length is not None
    head = json.loads(raw[:length])
    assert head["id"] == "mine"
    assert head["outputs"][0]["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(raw[length:], "<i8").tolist() == [0, 1]


def test_write_names_the_outputs_that_there_are():
    with pytest.raises(MalformedError, match="probability"):
        write("m", "3", OUTPUTS, InferRequest("", [], {"score": False}), request_id="r")

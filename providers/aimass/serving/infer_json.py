"""An inference request and its answer over REST: JSON, and the binary extension that appends tensors' bytes to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from aimass.serving.errors import MalformedError
from aimass.serving.tensors import Array, Tensor, bytes_of, datatype_of

LENGTH_HEADER = "Inference-Header-Content-Length"
"""How many bytes of the body are JSON; what follows are the bytes of binary tensors, in order."""


class _Input(msgspec.Struct, frozen=True):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class _Output(msgspec.Struct, frozen=True):
    name: str
    parameters: dict[str, Any] = {}


class _Body(msgspec.Struct, frozen=True):
    inputs: list[_Input]
    id: str = ""
    outputs: list[_Output] = []
    parameters: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class InferRequest:
    """What a client asks.

    Attributes
    ----------
    id : str
        The client's name of the request; empty where it gave none.
    tensors : list of Tensor
        Its inputs.
    outputs : dict of str to bool
        The outputs that it wants, and whether each is wanted as bytes; empty: all.
    is_binary : bool
        Whether outputs are bytes where the request does not name them.
    """

    id: str
    tensors: list[Tensor]
    outputs: dict[str, bool]
    is_binary: bool = False


_DECODER = msgspec.json.Decoder(_Body)
_ENCODER = msgspec.json.Encoder()


def read(body: bytes, header_length: int | None = None) -> InferRequest:
    """Return the request in `body`; `header_length` is the number in `LENGTH_HEADER`, None where it was not sent.

    Raises
    ------
    MalformedError
        The body is not JSON of the protocol's form, or lengths, shapes and data contradict each other.
    """
    length = len(body) if header_length is None else header_length
    if not 0 <= length <= len(body):
        raise MalformedError(f"{LENGTH_HEADER} is {length}", expected=f"0 to {len(body)}, the length of the body")
    view = memoryview(body)
    try:
        parsed = _DECODER.decode(view[:length])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(
            f"The body is no inference request: {error}",
            expected='{"inputs": [{"name": …, "shape": [N], "datatype": …, "data": […]}, …]}',
        ) from None
    tensors, place = [], length
    for each in parsed.inputs:
        tensor, place = _tensor(each, view, place)
        tensors.append(tensor)
    if place != len(body):
        raise MalformedError(f"{len(body) - place} bytes after the last binary tensor", expected="none")
    default = parsed.parameters.get("binary_data_output") is True
    outputs = {each.name: each.parameters.get("binary_data", default) is True for each in parsed.outputs}
    return InferRequest(parsed.id, tensors, outputs, default)


def _tensor(each: _Input, body: memoryview, place: int) -> tuple[Tensor, int]:
    size = each.parameters.get("binary_data_size")
    if size is None:
        if each.data is None:
            raise MalformedError(f"Tensor {each.name!r} has no data", expected="data, or binary_data_size")
        return Tensor.from_values(each.name, each.datatype, each.shape, each.data), place
    if type(size) is not int or not 0 <= size <= len(body) - place or each.data is not None:
        raise MalformedError(
            f"Tensor {each.name!r} has binary_data_size {str(size)[:40]} with {len(body) - place} bytes left",
            expected=f"a length within the body, {LENGTH_HEADER}, and no data beside it",
            tensor=each.name,
        )
    return Tensor.from_bytes(each.name, each.datatype, each.shape, body[place : place + size]), place + size


def write(
    model: str, version: str, outputs: Mapping[str, Array], request: InferRequest, *, request_id: str
) -> tuple[bytes, int | None]:
    """Return the body of the answer, and the number for `LENGTH_HEADER`: None where no output is binary.

    Parameters
    ----------
    outputs : mapping of str to array, shape (n_rows,)
        Everything that the session gave.
    request_id : str
        The server's name of the request, told where the client gave none.

    Raises
    ------
    MalformedError
        The request names an output that the model does not have.
    """
    documents: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for name in request.outputs or outputs:
        array = wanted(outputs, name)
        document: dict[str, Any] = {"name": name, "datatype": datatype_of(array), "shape": list(array.shape)}
        if request.outputs.get(name, request.is_binary):
            binary.append(bytes_of(array))
            document["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            document["data"] = array.tolist()
        documents.append(document)
    head = _ENCODER.encode(
        {"model_name": model, "model_version": version, "id": request.id or request_id, "outputs": documents}
    )
    return (b"".join([head, *binary]), len(head)) if binary else (head, None)


def wanted(outputs: Mapping[str, Array], name: str) -> Array:
    """Return the output called `name`; raises MalformedError where the model has none."""
    if name not in outputs:
        raise MalformedError(f"Output {name!r} is not the model's", known=outputs)
    return outputs[name]

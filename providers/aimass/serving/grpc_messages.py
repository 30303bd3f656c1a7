"""The gRPC messages of an inference request and its answer, and the tensors in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aimass.serving.errors import MalformedError
from aimass.serving.infer_json import wanted
from aimass.serving.proto import open_inference_pb2 as messages
from aimass.serving.tensors import Array, Tensor, bytes_of, datatype_of

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def tensors_of(request: messages.ModelInferRequest) -> Iterator[Tensor]:
    """Yield the inputs, from raw bytes where the request has them, from the typed fields where not.

    Raises
    ------
    MalformedError
        Raw bytes for another number of inputs, or beside typed fields; or what `Tensor` refuses.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise MalformedError(f"{len(raw)} raw_input_contents for {len(request.inputs)} inputs", expected="as many")
    for index, each in enumerate(request.inputs):
        if not raw:
            yield _typed(each)
        elif each.HasField("contents"):
            raise MalformedError(f"Tensor {each.name!r} has contents beside raw_input_contents", expected="one of both")
        else:
            yield Tensor.from_bytes(each.name, each.datatype, each.shape, raw[index])


def _typed(each: messages.ModelInferRequest.InferInputTensor) -> Tensor:
    used = [field.name for field, _ in each.contents.ListFields()]
    field = _CONTENTS.get(each.datatype, "")
    if used not in ([], [field]):
        raise MalformedError(
            f"Tensor {each.name!r} of datatype {each.datatype[:40]} fills {', '.join(used)}",
            expected=field or f"raw_input_contents, or one of {', '.join(_CONTENTS)}",
            tensor=each.name,
        )
    data = list(getattr(each.contents, field)) if field else []
    if each.datatype == "BYTES":
        try:
            data = [text.decode() for text in data]
        except UnicodeDecodeError:
            raise MalformedError(f"Tensor {each.name!r} holds text that is not UTF-8", tensor=each.name) from None
    return Tensor.from_values(each.name, each.datatype, each.shape, data)


def response_of(
    model: str, version: str, outputs: Mapping[str, Array], request: messages.ModelInferRequest, *, request_id: str
) -> messages.ModelInferResponse:
    """Return the answer, in raw bytes where the request came so, in typed fields where not.

    Raises
    ------
    MalformedError
        The request names an output that the model does not have.
    """
    response = messages.ModelInferResponse(model_name=model, model_version=version, id=request.id or request_id)
    for name in [each.name for each in request.outputs] or outputs:
        array = wanted(outputs, name)
        datatype = datatype_of(array)
        output = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if request.raw_input_contents:
            response.raw_output_contents.append(bytes_of(array))
        else:
            getattr(output.contents, _CONTENTS[datatype]).extend(array.tolist())
    return response

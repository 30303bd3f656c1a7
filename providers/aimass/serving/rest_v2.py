"""The Open Inference Protocol, version 2, over REST: health, metadata, inference, repository index."""

from __future__ import annotations

from typing import Any

from aimass import __version__
from aimass.core.features.row_encoder import Block
from aimass.serving import infer_json
from aimass.serving.context import Resolved
from aimass.serving.engine import Ask, Engine
from aimass.serving.errors import MalformedError, MediaTypeError, ServingError
from aimass.serving.loaded import LoadedModel
from aimass.serving.rest_predict import ask_of, headers_of
from aimass.serving.rest_request import JSON, Request, Response
from aimass.serving.tensor_rows import block_of, input_metadata
from aimass.serving.tensors import Array

EXTENSIONS = ["binary_tensor_data", "model_repository(index)"]
OUTPUT_METADATA = [
    {"name": "probability", "datatype": "FP32", "shape": [-1]},
    {"name": "label", "datatype": "INT64", "shape": [-1]},
]
_BINARY = b"application/octet-stream"


async def server_metadata(engine: Engine, request: Request) -> Response:
    """Say what server this is."""
    return Response.of({"name": "aimass", "version": __version__, "extensions": EXTENSIONS})


async def live(engine: Engine, request: Request) -> Response:
    """Say that the process answers."""
    return Response.of({"live": True})


async def ready(engine: Engine, request: Request) -> Response:
    """Say whether the server should get requests, and why not."""
    context = engine.context
    reason = "the server is draining" if context.draining else context.table.not_ready()
    return Response.of({"ready": not reason, "reason": reason}, status=503 if reason else 200)


async def index(engine: Engine, request: Request) -> Response:
    """List the versions in memory, coming or failed."""
    states = {"ready": "READY", "failed": "UNAVAILABLE", "draining": "UNLOADING", "loading": "LOADING"}
    return Response.of(
        [
            {"name": each.model, "version": each.version, "state": states[each.state], "reason": each.reason}
            for each in engine.context.table.index()
        ]
    )


async def model_metadata(engine: Engine, request: Request, version: str | None) -> Response:
    """Say what tensors a version takes and gives."""
    resolved = await _resolve(engine, request, version)
    loaded = resolved.loaded
    document: dict[str, Any] = {
        "name": loaded.name,
        "versions": [each.version for each in engine.context.table.index() if each.model == loaded.name],
        "platform": "onnxruntime_onnx",
        "inputs": input_metadata(loaded.columns),
        "outputs": OUTPUT_METADATA,
        "parameters": {"classes": list(loaded.classes), "threshold": loaded.threshold, "digest": loaded.digest},
    }
    return Response.of(document, headers=headers_of(resolved))


async def model_ready(engine: Engine, request: Request, version: str | None) -> Response:
    """Say whether a version is in memory; the protocol wants a word even where the model is not."""
    try:
        resolved = engine.context.table.resolve(request.model, version=version)
    except ServingError as error:
        if error.status == 503:
            return Response.of({"name": request.model, "ready": False, "reason": str(error)}, status=503)
        raise
    return Response.of({"name": request.model, "ready": True, "reason": ""}, headers=headers_of(resolved))


async def infer(engine: Engine, request: Request, version: str | None) -> Response:
    """Answer tensors with tensors; raises what `Engine.answer` and `infer_json.read` raise."""
    header_length = _header_length(request)
    parsed = infer_json.read(await request.body(), header_length)

    def encode(loaded: LoadedModel) -> Block:
        others = engine.context.table.known_columns(request.model)
        return block_of(parsed.tensors, loaded.encoder, ignore=others)

    answer = await engine.answer(ask_of(request, version), encode)
    loaded = answer.resolved.loaded
    outputs: dict[str, Array] = {"probability": answer.probability, "label": answer.label}
    body, length = infer_json.write(loaded.name, loaded.version, outputs, parsed, request_id=request.id)
    headers = headers_of(answer.resolved)
    if length is None:
        return Response(body, headers=headers)
    length_header = (infer_json.LENGTH_HEADER.lower().encode(), b"%d" % length)
    return Response(body, kind=_BINARY, headers=[*headers, length_header])


async def _resolve(engine: Engine, request: Request, version: str | None) -> Resolved:
    return await engine.resolve(Ask(request.model, version, request_id=request.id))


def _header_length(request: Request) -> int | None:
    """Return how much of the body is JSON; the media type must fit."""
    given = request.text(infer_json.LENGTH_HEADER.lower().encode())
    if not given:
        request.check_json()
        return None
    kind = request.headers.get(b"content-type", _BINARY).partition(b";")[0].strip().lower()
    if kind not in (_BINARY, JSON):
        raise MediaTypeError(
            f"The body is said to be {kind.decode('latin-1')[:80]!r}", expected=f"Content-Type: {_BINARY.decode()}"
        )
    if not (given.isascii() and given.isdigit() and len(given) < 16):
        raise MalformedError(f"{infer_json.LENGTH_HEADER} is {given[:40]!r}", expected="a number of bytes")
    return int(given)

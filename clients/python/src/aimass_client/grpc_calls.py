"""The calls of the gRPC face as messages; the synchronous and asynchronous clients share them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc

from aimass_client.answers import Inference, ModelMetadata
from aimass_client.connection import Connection, unreadable_ca_file
from aimass_client.errors import (
    ClientError,
    ForbiddenError,
    InternalError,
    InvalidRowsError,
    MalformedError,
    NotFoundError,
    QueueFullError,
    ServerError,
    TimedOutError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
)
from aimass_client.proto import open_inference_pb2 as messages
from aimass_client.tensors import Columns, binary_tensors, read_array

SERVICE = "/inference.GRPCInferenceService/"

_BY_CODE: dict[str, tuple[type[ServerError], int]] = {
    "too_large": (TooLargeError, 413),
    "malformed": (MalformedError, 400),
    "slow_body": (TimedOutError, 408),
}
_BY_STATUS: dict[grpc.StatusCode, tuple[type[ServerError], int]] = {
    grpc.StatusCode.INVALID_ARGUMENT: (InvalidRowsError, 422),
    grpc.StatusCode.UNAUTHENTICATED: (UnauthenticatedError, 401),
    grpc.StatusCode.PERMISSION_DENIED: (ForbiddenError, 403),
    grpc.StatusCode.NOT_FOUND: (NotFoundError, 404),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (QueueFullError, 429),
    grpc.StatusCode.UNAVAILABLE: (UnavailableError, 503),
    grpc.StatusCode.DEADLINE_EXCEEDED: (TimedOutError, 504),
}


def address_of(connection: Connection) -> tuple[str, grpc.ChannelCredentials | None]:
    """Return host and port, and the credentials where the address begins with https."""
    scheme, _, rest = connection.url.rpartition("://")
    if scheme != "https":
        return rest, None
    try:
        trusted = Path(connection.ca_file).read_bytes() if connection.ca_file else None
    except OSError as error:
        raise unreadable_ca_file(connection, error) from error
    return rest, grpc.ssl_channel_credentials(trusted)


def method_of(channel: Any, name: str) -> Any:
    """Return what calls a method of the protocol on a channel, synchronous or not."""
    return channel.unary_unary(
        SERVICE + name,
        request_serializer=getattr(messages, f"{name}Request").SerializeToString,
        response_deserializer=getattr(messages, f"{name}Response").FromString,
    )


def metadata_of(connection: Connection, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what goes with a call."""
    token = {"authorization": f"Bearer {connection.token}"} if connection.token else {}
    return [(name, value) for name, value in {**token, **headers}.items() if value]


def readiness(model: str, version: str) -> tuple[str, Any]:
    """Return the method and the message that ask whether the server, or a model of it, takes requests."""
    if not model:
        return "ServerReady", messages.ServerReadyRequest()
    return "ModelReady", messages.ModelReadyRequest(name=model, version=version)


def infer_request(
    model: str, columns: Columns, *, version: str = "", outputs: Sequence[str] = (), request_id: str = ""
) -> messages.ModelInferRequest:
    """Return the message that asks for scores."""
    heads, bodies = binary_tensors(columns)
    return messages.ModelInferRequest(
        model_name=model,
        model_version=version,
        id=request_id,
        inputs=[messages.ModelInferRequest.InferInputTensor(**head) for head in heads],
        outputs=[messages.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs],
        raw_input_contents=bodies,
    )


def inference(response: messages.ModelInferResponse) -> Inference:
    """Return the scores in a message."""
    pairs = zip(response.outputs, response.raw_output_contents, strict=True)
    outputs = {each.name: read_array(each.datatype, raw) for each, raw in pairs}
    return Inference(response.model_name, response.model_version, response.id, outputs)


def model_metadata(response: messages.ModelMetadataResponse) -> ModelMetadata:
    """Return what a message says about a model."""
    return ModelMetadata(
        response.name,
        tuple(response.versions),
        response.platform,
        {tensor.name: tensor.datatype for tensor in response.inputs},
        {tensor.name: tensor.datatype for tensor in response.outputs},
    )


def error_of(connection: Connection, error: Any) -> ClientError:
    """Return the error that a status is; without the server's code word it was not the server that spoke."""
    trailing = dict(error.trailing_metadata() or ())
    code, status = trailing.get("code", ""), error.code()
    if not code and status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        reason = error.details() or status.name
        refused = "failed to connect" in reason.lower()  # gRPC has one status for that and for a lost answer
        return UnreachableError(f"{connection.url} did not answer: {reason}", is_retried=refused)
    if not code and status is grpc.StatusCode.RESOURCE_EXHAUSTED:
        code = "too_large"  # gRPC itself refuses a message of that size
    kind, number = _BY_CODE.get(code) or _BY_STATUS.get(status, (InternalError, 500))
    after = trailing.get("retry-after")
    return kind(
        error.details() or status.name,
        code=code,
        status=number,
        request_id=trailing.get("x-request-id", ""),
        retry_after_s=float(after) if after else None,
    )

"""The Open Inference Protocol over gRPC, beside REST in the same worker and event loop, on the same engine."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from aimass import __version__
from aimass.core.errors import AimassError, ConfigError
from aimass.serving.config import ServeConfig
from aimass.serving.context import Resolved
from aimass.serving.engine import Ask, Engine, new_request_id
from aimass.serving.errors import UnavailableError, answer_of
from aimass.serving.grpc_messages import response_of, tensors_of
from aimass.serving.proto import open_inference_pb2 as messages
from aimass.serving.security import Tokens
from aimass.serving.tensor_rows import OUTPUT_METADATA, PLATFORM, block_of, input_metadata
from aimass.serving.tensors import Array

logger = logging.getLogger(__name__)

EXTENSIONS = ["binary_tensor_data"]
SERVICE = "inference.GRPCInferenceService"
Method = Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


async def start_grpc(engine: Engine, tokens: Tokens) -> grpc.aio.Server:
    """Return the worker's gRPC server, listening; `await server.stop(grace_s)` drains it.

    It asks for the same tokens as REST, in the metadata ``authorization``; health needs none.

    All workers of a server listen on the same port (`SO_REUSEPORT`), so it must not be 0 here.

    Raises
    ------
    ConfigError
        The port cannot be listened on, or the certificate cannot be read.
    """
    config = engine.context.config
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", config.body_limit),
            ("grpc.max_concurrent_streams", config.max_connections),
            ("grpc.max_allowed_incoming_connections", config.max_connections),
            # Of TLS and of HTTP/2.
            ("grpc.server_handshake_timeout_ms", math.ceil(config.header_timeout_s * 1e3)),
        ]
    )
    service = InferenceService(engine, tokens)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, service.handlers()),))
    address = f"{config.host}:{config.grpc_port}"
    try:
        if config.tls_cert is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, _credentials(config))
    except (RuntimeError, OSError, ValueError) as error:
        raise ConfigError(f"gRPC cannot listen on {address}: {error}", hint="Choose another grpc_port") from error
    await server.start()
    return server


def _credentials(config: ServeConfig) -> grpc.ServerCredentials:
    assert config.tls_cert is not None
    key = (config.tls_key or config.tls_cert).read_bytes()
    return grpc.ssl_server_credentials([(key, config.tls_cert.read_bytes())])


class InferenceService:
    """The methods of the protocol; each maps a request message to a response message, or raises an error of ours."""

    def __init__(self, engine: Engine, tokens: Tokens) -> None:
        self._engine = engine
        self._context = engine.context
        self._tokens = tokens

    def handlers(self) -> dict[str, grpc.RpcMethodHandler]:
        """Return what the server calls, by the methods' names."""
        methods: dict[str, Method] = {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ModelReady": self.model_ready,
            "ServerMetadata": self.server_metadata,
            "ModelMetadata": self.model_metadata,
            "ModelInfer": self.model_infer,
        }
        return {name: self._handler(name, method) for name, method in methods.items()}

    async def server_live(
        self, _: messages.ServerLiveRequest, __: grpc.aio.ServicerContext
    ) -> messages.ServerLiveResponse:
        """Say that the process answers."""
        return messages.ServerLiveResponse(live=True)

    async def server_ready(
        self, _: messages.ServerReadyRequest, __: grpc.aio.ServicerContext
    ) -> messages.ServerReadyResponse:
        """Say whether the server takes requests."""
        return messages.ServerReadyResponse(ready=not (self._context.draining or self._context.table.not_ready()))

    async def model_ready(
        self, request: messages.ModelReadyRequest, _: grpc.aio.ServicerContext
    ) -> messages.ModelReadyResponse:
        """Say whether a version is in memory; NOT_FOUND where there is none."""
        try:
            self._context.table.resolve(request.name, version=request.version or None)
        except UnavailableError:
            return messages.ModelReadyResponse(ready=False)
        return messages.ModelReadyResponse(ready=not self._context.draining)

    async def server_metadata(
        self, _: messages.ServerMetadataRequest, __: grpc.aio.ServicerContext
    ) -> messages.ServerMetadataResponse:
        """Say what the server is."""
        return messages.ServerMetadataResponse(name="aimass", version=__version__, extensions=EXTENSIONS)

    async def model_metadata(
        self, request: messages.ModelMetadataRequest, call: grpc.aio.ServicerContext
    ) -> messages.ModelMetadataResponse:
        """Describe the inputs and outputs of a version."""
        self._tokens.check(_headers(call).get("authorization", ""), request.name)
        resolved = await self._engine.resolve(Ask(request.name, request.version or None))
        tensor = messages.ModelMetadataResponse.TensorMetadata
        return messages.ModelMetadataResponse(
            name=request.name,
            versions=[each.version for each in self._context.table.index() if each.model == request.name],
            platform=PLATFORM,
            inputs=[tensor(**each) for each in input_metadata(resolved.loaded.columns)],
            outputs=[tensor(**each) for each in OUTPUT_METADATA],
        )

    async def model_infer(
        self, request: messages.ModelInferRequest, call: grpc.aio.ServicerContext
    ) -> messages.ModelInferResponse:
        """Answer rows."""
        started = time.perf_counter()
        headers = _headers(call)
        token = self._tokens.check(headers.get("authorization", ""), request.model_name)
        request_id = _request_id(headers.get("x-request-id", ""), request.id)
        route_key = headers.get("x-route-key", "")
        ask = Ask(
            request.model_name,
            request.model_version or None,
            None,
            route_key,
            request_id,
            "grpc",
            token.name,
            started,
        )
        others = self._engine.context.table.known_columns(ask.model)
        answer = await self._engine.answer(
            ask, lambda loaded: block_of(tensors_of(request), loaded.encoder, ignore=others)
        )
        call.set_trailing_metadata(_told(answer.resolved, request_id))
        outputs: dict[str, Array] = {"probability": answer.probability, "label": answer.label}
        version = answer.resolved.loaded.version
        return response_of(request.model_name, version, outputs, request, request_id=request_id)

    def _handler(self, name: str, method: Method) -> grpc.RpcMethodHandler:
        async def answer(request: Any, call: grpc.aio.ServicerContext) -> Any:
            try:
                return await method(request, call)
            except Exception as error:  # whatever happens, the caller gets a status of the protocol
                told = answer_of(error)
                if not isinstance(error, AimassError):
                    logger.exception("%s failed", name)
                if name == "ModelInfer":
                    self._engine.failed(request.model_name, told.code, "grpc")
                after = () if told.retry_after_s is None else (("retry-after", f"{told.retry_after_s:g}"),)
                return await call.abort(grpc.StatusCode[told.grpc], told.message, (("code", told.code), *after))

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=getattr(messages, f"{name}Request").FromString,
            response_serializer=getattr(messages, f"{name}Response").SerializeToString,
        )


def _headers(call: grpc.aio.ServicerContext) -> dict[str, str]:
    return {key: str(value) for key, value in call.invocation_metadata() or ()}


def _request_id(*offered: str) -> str:
    return next((each for each in offered if _REQUEST_ID.match(each)), "") or new_request_id()


def _told(resolved: Resolved, request_id: str) -> tuple[tuple[str, str], ...]:
    loaded = resolved.loaded
    deprecated = (("deprecation", "true"),) if resolved.deprecated else ()
    return (
        ("x-request-id", request_id),
        ("x-model-version", loaded.version),
        ("x-model-digest", loaded.digest),
        *deprecated,
    )

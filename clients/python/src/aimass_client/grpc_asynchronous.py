"""The asynchronous gRPC client: the same calls, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc

from aimass_client import grpc_calls
from aimass_client.answers import Inference, ModelMetadata
from aimass_client.connection import Connection, Patience
from aimass_client.errors import ClientError
from aimass_client.proto import open_inference_pb2 as messages
from aimass_client.tensors import Columns


class AsyncGrpcClient:
    """Ask a server over gRPC from an event loop. Arguments, results and errors are those of `GrpcClient`."""

    def __init__(self, connection: Connection | str) -> None:
        self.connection = Connection(connection) if isinstance(connection, str) else connection
        address, credentials = grpc_calls.address_of(self.connection)
        self._channel = (
            grpc.aio.secure_channel(address, credentials) if credentials else grpc.aio.insecure_channel(address)
        )

    async def infer(
        self,
        model: str,
        columns: Columns,
        *,
        version: str = "",
        outputs: Sequence[str] = (),
        request_id: str = "",
        route_key: str = "",
    ) -> Inference:
        """Score columns; see `GrpcClient.infer`."""
        request = grpc_calls.infer_request(model, columns, version=version, outputs=outputs, request_id=request_id)
        headers = {"x-request-id": request_id, "x-route-key": route_key}
        return grpc_calls.inference(await self._send("ModelInfer", request, headers))

    async def metadata(self, model: str, version: str = "") -> ModelMetadata:
        """Return what the server says about a model."""
        request = messages.ModelMetadataRequest(name=model, version=version)
        return grpc_calls.model_metadata(await self._send("ModelMetadata", request))

    async def is_ready(self, model: str = "", version: str = "") -> bool:
        """Return whether the server, or a model of it, takes requests now; asked once."""
        method, request = grpc_calls.readiness(model, version)
        try:
            return bool((await self._once(method, request, {}, Patience(self.connection))).ready)
        except ClientError:
            return False

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def __aenter__(self) -> AsyncGrpcClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _send(self, method: str, request: Any, headers: dict[str, str] | None = None) -> Any:
        patience = Patience(self.connection)
        while True:
            try:
                return await self._once(method, request, headers or {}, patience)
            except ClientError as error:
                wait_s = patience.after(error)
                if wait_s is None:
                    raise
            await asyncio.sleep(wait_s)

    async def _once(self, method: str, request: Any, headers: dict[str, str], patience: Patience) -> Any:
        call = grpc_calls.method_of(self._channel, method)
        metadata = grpc_calls.metadata_of(self.connection, headers)
        try:
            return await call(request, timeout=patience.left_s, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise grpc_calls.error_of(self.connection, error) from error

"""The gRPC client, which needs ``aimass-client[grpc]``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import grpc

from aimass_client import grpc_calls
from aimass_client.answers import Inference, ModelMetadata
from aimass_client.connection import Connection, Patience
from aimass_client.errors import ClientError
from aimass_client.proto import open_inference_pb2 as messages
from aimass_client.tensors import Columns


class GrpcClient:
    """Ask a server over gRPC. Thread-safe; use it as a context manager, or `close` it.

    Parameters
    ----------
    connection : Connection or str
        How the server is reached, or just ``host:port``; ``https://host:port`` for TLS. Retries and time limits are
        those of `Client`, and so are the errors.
    """

    def __init__(self, connection: Connection | str) -> None:
        self.connection = Connection(connection) if isinstance(connection, str) else connection
        address, credentials = grpc_calls.address_of(self.connection)
        self._channel = grpc.secure_channel(address, credentials) if credentials else grpc.insecure_channel(address)

    def infer(
        self,
        model: str,
        columns: Columns,
        *,
        version: str = "",
        outputs: Sequence[str] = (),
        request_id: str = "",
        route_key: str = "",
    ) -> Inference:
        """Score columns; see `Client.infer`."""
        request = grpc_calls.infer_request(model, columns, version=version, outputs=outputs, request_id=request_id)
        headers = {"x-request-id": request_id, "x-route-key": route_key}
        return grpc_calls.inference(self._send("ModelInfer", request, headers))

    def metadata(self, model: str, version: str = "") -> ModelMetadata:
        """Return what the server says about a model."""
        request = messages.ModelMetadataRequest(name=model, version=version)
        return grpc_calls.model_metadata(self._send("ModelMetadata", request))

    def is_ready(self, model: str = "", version: str = "") -> bool:
        """Return whether the server, or a model of it, takes requests now; asked once."""
        method, request = grpc_calls.readiness(model, version)
        try:
            return bool(self._once(method, request, {}, Patience(self.connection)).ready)
        except ClientError:
            return False

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def __enter__(self) -> GrpcClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, method: str, request: Any, headers: dict[str, str] | None = None) -> Any:
        patience = Patience(self.connection)
        while True:
            try:
                return self._once(method, request, headers or {}, patience)
            except ClientError as error:
                wait_s = patience.after(error)
                if wait_s is None:
                    raise
            time.sleep(wait_s)

    def _once(self, method: str, request: Any, headers: dict[str, str], patience: Patience) -> Any:
        call = grpc_calls.method_of(self._channel, method)
        metadata = grpc_calls.metadata_of(self.connection, headers)
        try:
            return call(request, timeout=patience.left_s, metadata=metadata)
        except grpc.RpcError as error:
            raise grpc_calls.error_of(self.connection, error) from error

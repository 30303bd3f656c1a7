"""The asynchronous client: the same calls, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from aimass_client import calls
from aimass_client.answers import Inference, ModelMetadata, Prediction
from aimass_client.calls import Call, T
from aimass_client.connection import Connection, Patience, transport_options, unreachable
from aimass_client.errors import ClientError, UnreachableError
from aimass_client.tensors import Columns


class AsyncClient:
    """Ask a server from an event loop. Arguments, results and errors are those of `Client`."""

    def __init__(self, connection: Connection | str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.connection = Connection(connection) if isinstance(connection, str) else connection
        self._http = httpx.AsyncClient(**transport_options(self.connection), transport=transport)

    async def predict(self, model: str, rows: Sequence[Mapping[str, Any]], **choice: Any) -> Prediction:
        """Score rows given as mappings; see `Client.predict`."""
        return await self._send(calls.predict(model, rows, **choice))

    async def infer(self, model: str, columns: Columns, **choice: Any) -> Inference:
        """Score columns given as tensors; see `Client.infer`."""
        return await self._send(calls.infer(model, columns, **choice))

    async def label(self, model: str, labels: Sequence[Mapping[str, Any]]) -> None:
        """Tell what predictions should have been; see `Client.label`."""
        await self._send(calls.label(model, labels))

    async def metadata(self, model: str, version: str | None = None) -> ModelMetadata:
        """Return what the server says about a model."""
        return await self._send(calls.metadata(model, version))

    async def status(self) -> dict[str, Any]:
        """Return what the server serves."""
        return await self._send(calls.status())

    async def is_live(self) -> bool:
        """Return whether the server's process answers."""
        return await self._holds(calls.live())

    async def is_ready(self, model: str | None = None, version: str | None = None) -> bool:
        """Return whether the server, or a model of it, takes requests now; asked once."""
        return await self._holds(calls.ready(model, version))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _holds(self, call: Call[bool]) -> bool:
        try:
            return (await self._once(call, Patience(self.connection))).is_success
        except UnreachableError:
            return False

    async def _send(self, call: Call[T]) -> T:
        patience = Patience(self.connection)
        while True:
            try:
                return call.result(await self._once(call, patience))
            except ClientError as error:
                wait_s = patience.after(error)
                if wait_s is None:
                    raise
            await asyncio.sleep(wait_s)

    async def _once(self, call: Call[Any], patience: Patience) -> httpx.Response:
        try:
            return await self._http.send(call.request(self._http, timeout_s=patience.left_s))
        except httpx.HTTPError as error:
            raise unreachable(self.connection, error) from error

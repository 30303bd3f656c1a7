"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from aimass_client import calls
from aimass_client.answers import Inference, ModelMetadata, Prediction
from aimass_client.calls import Call, T
from aimass_client.connection import Connection, Patience, transport_options, unreachable
from aimass_client.errors import ClientError, UnreachableError
from aimass_client.tensors import Columns


class Client:
    """Ask a server. Thread-safe; use it as a context manager, or `close` it.

    Parameters
    ----------
    connection : Connection or str
        How the server is reached, or just its address.
    transport : httpx.BaseTransport, optional
        Another way to send requests, such as a test's.

    Raises
    ------
    ClientError
        `ca_file` cannot be read; from a call: what was given cannot be sent, or the answer is none of a server's.
    ServerError
        From every call: one of its kinds, as the server answered.
    UnreachableError
        From every call: no answer in time.
    """

    def __init__(self, connection: Connection | str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.connection = Connection(connection) if isinstance(connection, str) else connection
        self._http = httpx.Client(**transport_options(self.connection), transport=transport)

    def predict(self, model: str, rows: Sequence[Mapping[str, Any]], **choice: Any) -> Prediction:
        """Score rows given as mappings.

        Parameters
        ----------
        model : str
            Name in the registry.
        rows : sequence of mapping
            Column → value; a missing one is None.
        **choice
            ``version`` or ``alias`` that must answer, ``request_id`` to be known by, and ``route_key``, by which
            the same caller stays with the same version while traffic is split.
        """
        return self._send(calls.predict(model, rows, **choice))

    def infer(self, model: str, columns: Columns, **choice: Any) -> Inference:
        """Score columns given as tensors.

        Parameters
        ----------
        model : str
            Name in the registry.
        columns : mapping
            Column → values, all of one length: a sequence in which None is missing, or a NumPy array.
        **choice
            ``version``, ``outputs`` wanted, ``request_id``, and ``as_bytes=True`` for bytes instead of JSON:
            many rows are sent and read faster so.
        """
        return self._send(calls.infer(model, columns, **choice))

    def label(self, model: str, labels: Sequence[Mapping[str, Any]]) -> None:
        """Tell what predictions should have been: mappings of ``request_id``, ``row`` and ``label``."""
        self._send(calls.label(model, labels))

    def metadata(self, model: str, version: str | None = None) -> ModelMetadata:
        """Return what the server says about a model."""
        return self._send(calls.metadata(model, version))

    def status(self) -> dict[str, Any]:
        """Return what the server serves."""
        return self._send(calls.status())

    def is_live(self) -> bool:
        """Return whether the server's process answers."""
        return self._holds(calls.live())

    def is_ready(self, model: str | None = None, version: str | None = None) -> bool:
        """Return whether the server, or a model of it, takes requests now; asked once."""
        return self._holds(calls.ready(model, version))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _holds(self, call: Call[bool]) -> bool:
        try:
            return self._once(call, Patience(self.connection)).is_success
        except UnreachableError:
            return False

    def _send(self, call: Call[T]) -> T:
        patience = Patience(self.connection)
        while True:
            try:
                return call.result(self._once(call, patience))
            except ClientError as error:
                wait_s = patience.after(error)
                if wait_s is None:
                    raise
            time.sleep(wait_s)

    def _once(self, call: Call[Any], patience: Patience) -> httpx.Response:
        try:
            return self._http.send(call.request(self._http, timeout_s=patience.left_s))
        except httpx.HTTPError as error:
            raise unreachable(self.connection, error) from error

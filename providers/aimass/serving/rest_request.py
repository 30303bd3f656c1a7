"""One HTTP request as the routes see it, and the answer to it; no more of HTTP than a server of models needs."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from aimass.serving.engine import new_request_id
from aimass.serving.errors import MalformedError, MediaTypeError, TooLargeError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = b"application/json"
_JSON_TYPES = (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8", b"")
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ENCODER = msgspec.json.Encoder()

Headers = list[tuple[bytes, bytes]]


class DisconnectedError(Exception):
    """The client went away while its body was read; there is nobody to answer."""


class Request:
    """One request.

    Parameters
    ----------
    method, path : str
        As sent; the path is decoded.
    query : bytes
        As sent.
    headers : iterable of (bytes, bytes)
        By lower-case name.
    receive : callable or None
        Gives the body, as ASGI hands it over; None where nobody will ask for it.
    body_limit : int
        Largest body in bytes.

    Attributes
    ----------
    headers : dict of bytes to bytes
        By lower-case name; of a repeated one the last.
    id : str
        The client's X-Request-Id where it is of the documented form, else a fresh one.
    started : float
        `time.perf_counter()` when the request arrived.
    model, token : str
        Whom it asks and who asks, once a route knows; for log and metrics.
    """

    __slots__ = ("_limit", "_query", "_receive", "headers", "id", "method", "model", "path", "started", "token")

    def __init__(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        receive: Receive | None = None,
        body_limit: int = 0,
    ) -> None:
        self.started = time.perf_counter()
        self.method = method
        self.path = path
        self.headers: dict[bytes, bytes] = dict(headers)
        given = self.headers.get(b"x-request-id")
        self.id = given.decode() if given is not None and _ID.fullmatch(given) else new_request_id()
        self.model = ""
        self.token = ""
        self._query = query
        self._receive = receive
        self._limit = body_limit

    @property
    def has_query(self) -> bool:
        """Whether there are parameters."""
        return bool(self._query)

    def text(self, header: bytes) -> str:
        """Return the header as text; empty where it was not sent."""
        value = self.headers.get(header)
        return "" if value is None else value.decode("latin-1")

    def query(self, *allowed: str) -> dict[str, str]:
        """Return the query's parameters.

        Raises
        ------
        MalformedError
            One is unknown, there twice, or empty.
        """
        if not self._query:
            return {}
        found: dict[str, str] = {}
        for name, value in parse_qsl(self._query.decode("latin-1"), keep_blank_values=True):
            wrong = "unknown" if name not in allowed else "there twice" if name in found else "" if value else "empty"
            if wrong:
                raise MalformedError(f"The query's parameter {name[:64]!r} is {wrong}", known=allowed)
            found[name] = value
        return found

    def check_json(self) -> None:
        """Raise MediaTypeError where the body is said to be something else than JSON."""
        kind = self.headers.get(b"content-type", b"")
        if kind not in _JSON_TYPES and kind.partition(b";")[0].strip().lower() != JSON:
            raise MediaTypeError(
                f"The body is said to be {kind.decode('latin-1')[:80]!r}",
                expected="the header Content-Type: application/json",
            )

    async def body(self) -> bytes:
        """Return the whole body.

        Raises
        ------
        TooLargeError
            It is larger than the limit; nothing beyond that is kept.
        DisconnectedError
            The client went away.
        """
        length = self.headers.get(b"content-length")
        if length is not None and int(length) > self._limit:
            raise self._too_large(f"{int(length)} bytes")
        assert self._receive is not None
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if message["type"] == "http.request" and not message.get("more_body"):
            return body if len(body) <= self._limit else self._refuse()
        parts, size = [body], len(body)
        while message["type"] == "http.request" and message.get("more_body"):
            message = await self._receive()
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > self._limit:
                self._refuse()
        if message["type"] != "http.request":
            raise DisconnectedError
        return b"".join(parts)

    def _refuse(self) -> bytes:
        raise self._too_large("more")

    def _too_large(self, seen: str) -> TooLargeError:
        return TooLargeError(
            f"The body has {seen}", expected=f"at most {self._limit} bytes", hint="Send the rows in several requests"
        )


class Response:
    """The answer to a request.

    Parameters
    ----------
    body : bytes
        Its bytes.
    status : int
        Of HTTP.
    kind : bytes
        Its media type.
    headers : list of (bytes, bytes)
        Other headers.
    """

    __slots__ = ("body", "headers", "kind", "status")

    def __init__(self, body: bytes, status: int = 200, kind: bytes = JSON, headers: Headers | None = None) -> None:
        self.body = body
        self.status = status
        self.kind = kind
        self.headers: Headers = headers or []

    @classmethod
    def of(cls, document: Any, status: int = 200, headers: Headers | None = None) -> Response:
        """Return an answer that is a JSON document."""
        return cls(_ENCODER.encode(document), status, JSON, headers)

    async def send(self, send: Send, request_id: str, *, head_only: bool = False) -> None:
        """Send it."""
        headers = [
            (b"content-type", self.kind),
            (b"content-length", b"%d" % len(self.body)),
            (b"x-request-id", request_id.encode()),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head_only else self.body})

    def wire(self, request_id: str) -> bytes:
        """Return it as HTTP/1.1 has it."""
        more = b"".join([b"%b: %b\r\n" % header for header in self.headers])
        start, body = STATUS_LINE[self.status], self.body
        return b"%bcontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b\r\n%b" % (
            start, self.kind, len(body), request_id.encode(), more, body,
        )  # fmt: skip


LATER = Response(b"")
"""Stands for an answer that is handed over in a moment."""

Later = Callable[[Response | Exception], None]
"""Takes that answer, or what came instead."""

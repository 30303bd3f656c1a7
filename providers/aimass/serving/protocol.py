"""HTTP/1.1 for one worker: uvicorn's parser under uvloop, with bounds on what a slow or greedy client may hold."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol, cast
from urllib.parse import unquote

import httptools
import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from aimass.serving.config import ServeConfig
from aimass.serving.engine import new_request_id
from aimass.serving.rest_request import Receive, Request, Scope, Send
from aimass.serving.security import tls_context
from aimass.serving.tls_door import TlsDoor

HEADERS_LIMIT = 64 * 1024
"""Bytes that a request's line and headers may have."""
SWEEP_S = 0.5
"""How often connections are looked at; a time-out is kept to this."""
BACKLOG = 2048
_HEAD = b"HTTP/1.1 "
_INTERIM = b"HTTP/1.1 100 "


class Application(Protocol):
    """What answers requests."""

    def at_once(self, request: Request, body: bytes, later: Callable[[bytes], None] | None) -> bytes | None:
        """Return the whole answer, head and body, to a POST request that came in one piece.

        Returns nothing (``b""``) where `later` gets it, once, within a turn of the loop or two. None where it would
        take more waiting, or is for `__call__` for any other reason; nothing was done then.
        """

    def sent(self) -> None:
        """Do what could wait until such an answer was on its way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer any request, as ASGI has it."""


class WholeAnswers:
    """A transport that keeps back an answer's head until its body comes: one system call and one packet, not two.

    Parameters
    ----------
    transport : asyncio.Transport
        What it writes to.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.is_closing = transport.is_closing
        self.get_extra_info = transport.get_extra_info

    def write_whole(self, data: bytes) -> None:
        """Write a whole answer."""
        self._transport.write(data)

    def write(self, data: bytes) -> None:
        """Keep back a head; write what comes after it together with it."""
        if self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif data.startswith(_HEAD) and not data.startswith(_INTERIM):
            self._head = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Write what is kept back: the answer has no body."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Close once everything is written."""
        self.flush()
        self._transport.close()


class Held:
    """What has come of a request that may be answered at once, and is kept from uvicorn until that is clear."""

    __slots__ = ("body", "has_headers", "headers", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.has_headers = False
        self.body: list[bytes] = []


class BoundedProtocol(HttpToolsProtocol):
    """A connection that ends when its client is too slow, sends too much before its body, or is one too many.

    Instead of a timer for each request, it notes until when the client may take for what it sends now (`due`) and
    until it sends again (`idle_until`), and `HttpServer` sweeps over all connections.

    A request that came in one piece is offered to the application's `at_once` first: making a task for each costs
    about as much as all else that HTTP costs. What `at_once` does not answer goes on to uvicorn as if it had just come.
    """

    options: ServeConfig
    application: Application
    due = math.inf
    idle_until = math.inf
    _answers: WholeAnswers
    _fed = 0
    _in_headers = True
    _held: Held | None = None
    _chunk = b""
    _early = b""
    is_replying = False
    _ends = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or say that there are too many."""
        super().connection_made(cast("asyncio.Transport", transport))
        self.transport = self._answers = cast("Any", WholeAnswers(self.transport))
        self.due = self.loop.time() + self.options.header_timeout_s
        if len(self.connections) > self.options.max_connections:
            self.refuse(503, "unavailable", "The server has as many connections as it may have. Ask again.")

    def data_received(self, data: bytes) -> None:
        """Parse, and stop a client whose headers do not end."""
        if self.transport.is_closing():
            return
        if self.is_replying:
            self._keep(data)
            return
        self.idle_until = math.inf
        self._chunk = data
        super().data_received(data)
        if self._held is not None:
            self._release_unfinished(self._held)
        if self._in_headers:
            self._fed += len(data)
            if self._fed > HEADERS_LIMIT:
                self.refuse(431, "headers_too_large", f"The headers have more than {HEADERS_LIMIT} bytes.")

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        self._in_headers, self._fed = True, 0
        self.due = self.loop.time() + self.options.header_timeout_s
        if not self._is_answering() and not self.flow.write_paused:
            self._held = Held()
        else:
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Have the target, or a piece of it."""
        if self._held is None:
            super().on_url(url)
        else:
            self._held.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Have a header."""
        if self._held is None:
            super().on_header(name, value)
        else:
            self._held.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Begin to read its body."""
        self._in_headers = False
        self.due = self.loop.time() + self.options.body_timeout_s
        if self._held is None:
            super().on_headers_complete()
        else:
            self._held.has_headers = True

    def on_body(self, body: bytes) -> None:
        """Have the body, or a piece of it."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held.body.append(body)

    def on_message_complete(self) -> None:
        """Have the whole request."""
        self.due = math.inf
        held = self._held
        if held is not None:
            answer = self._try(held)
            if answer is not None:
                self._held = None
                if answer:
                    self._write(answer)
                else:
                    self.is_replying = True
                return
            self._release(held)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Have sent the whole answer: begin with the next request, where one waits."""
        self._answers.flush()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._be_idle()

    def _be_idle(self) -> None:
        self.idle_until = self.loop.time() + self.options.keep_alive_s

    def _is_answering(self) -> bool:
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    def _try(self, held: Held) -> bytes | None:
        """Return the answer to a whole request, where it is of the plain kind and needs no waiting."""
        parser = self.parser
        is_plain = parser.get_method() == b"POST" and parser.should_keep_alive() and not parser.should_upgrade()
        if not is_plain or self.transport.is_closing():
            return None
        path, query = _target(held.url)
        body = b"".join(held.body)
        # Where something follows in the same piece, it would be parsed before the answer is there.
        is_last = self._chunk.find(b"\r\n\r\n") + 4 + len(body) == len(self._chunk)
        request = Request("POST", path, query, held.headers)
        return self.application.at_once(request, body, self._reply if is_last else None)

    def _write(self, answer: bytes) -> None:
        self._answers.write_whole(answer)
        self.application.sent()
        self._be_idle()

    def _reply(self, answer: bytes) -> None:
        """Write an answer that was to come later, and go on with what came meanwhile."""
        self.is_replying = False
        if self.transport.is_closing():
            return
        if self._ends:
            self._write(answer.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
            self.transport.close()
            return
        self._write(answer)
        if self._early:
            early, self._early = self._early, b""
            self.flow.resume_reading()
            self.data_received(early)

    def _keep(self, data: bytes) -> None:
        self._early += data
        self.flow.pause_reading()

    def shutdown(self) -> None:
        """End once what is being answered is."""
        if self.is_replying:
            self._ends = True
        else:
            super().shutdown()

    def _release_unfinished(self, held: Held) -> None:
        if self.transport.is_closing():
            self._held = None
            return
        try:
            self._release(held)
        except Exception:  # noqa: BLE001 - the parser, which calls `_release` else, takes any error as this one too
            self.send_400_response("Invalid HTTP request received.")

    def _release(self, held: Held) -> None:
        """Give uvicorn what was held back."""
        self._held = None
        super().on_message_begin()
        super().on_url(held.url)
        for header in held.headers:
            super().on_header(*header)
        if held.has_headers:
            super().on_headers_complete()
        for piece in held.body:
            super().on_body(piece)

    def send_400_response(self, msg: str) -> None:
        """Say in the documented form that this is not HTTP."""
        self.refuse(400, "malformed", msg)

    def too_slow(self) -> None:
        """End a request that did not arrive in time."""
        what = "headers" if self._in_headers else "body"
        self.refuse(408, "slow_body", f"The request's {what} did not arrive in time. Send it again, faster.")

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answer without the application, and close; where an answer has begun already, only close."""
        if not self._in_headers and self.cycle is not None and self.cycle.response_started:
            self.transport.close()
            return
        request_id = new_request_id()
        body = msgspec.json.encode({"error": message, "code": code, "request_id": request_id})
        head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
        retry = "retry-after: 1\r\n" if status == 503 else ""
        self.transport.write(STATUS_LINE[status] + f"{head}{retry}connection: close\r\n\r\n".encode() + body)
        self.transport.close()


class HttpServer:
    """Serves an application on a socket. Belongs to one event loop.

    Parameters
    ----------
    app : Application
        What answers.
    options : ServeConfig
        Bounds, and TLS.
    """

    def __init__(self, app: Application, options: ServeConfig) -> None:
        self._options = options
        self._tls = tls_context(options)
        self._state = ServerState()
        self._config = uvicorn.Config(
            cast("Any", app),
            http=BoundedProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=cast("int", options.keep_alive_s),
        )
        self._config.load()
        self._application = app
        self._server: asyncio.Server | TlsDoor | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    async def open(self, listener: socket.socket) -> None:
        """Begin to accept."""
        if self._tls is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._connection, sock=listener, backlog=BACKLOG)
        else:
            bounds = (self._options.header_timeout_s, self._options.max_connections)
            self._server = TlsDoor(listener, self._tls, self._connection, *bounds)
            self._server.open(BACKLOG)
        self._sweep()

    async def close(self, timeout_s: float) -> None:
        """Accept nothing more, let what is being answered finish, at most `timeout_s`, then close."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(timeout_s):
                while self._state.tasks:
                    await asyncio.wait(self._state.tasks)
                while any(cast("BoundedProtocol", each).is_replying for each in self._state.connections):
                    await asyncio.sleep(0)
        except TimeoutError:
            for task in self._state.tasks:
                task.cancel()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in list(self._state.connections):
            connection.transport.close()

    def _connection(self) -> BoundedProtocol:
        connection = BoundedProtocol(self._config, self._state, {})
        connection.options = self._options
        connection.application = self._application
        return connection

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for each in list(self._state.connections):
            connection = cast("BoundedProtocol", each)
            if now > connection.due:
                connection.too_slow()
            elif now > connection.idle_until:
                connection.transport.close()
        self._sweeping = loop.call_later(SWEEP_S, self._sweep)


@lru_cache(maxsize=4096)
def _target(url: bytes) -> tuple[str, bytes]:
    """Return the path, decoded, and the query of a request's target; as uvicorn reads them."""
    parsed = httptools.parse_url(url)
    return unquote(parsed.path.decode("ascii")), parsed.query or b""

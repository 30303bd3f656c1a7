"""HTTP/1.1 for one worker: uvicorn's parser under uvloop, with bounds on what a slow or greedy client may hold."""

from __future__ import annotations

import asyncio
import math
import socket
from typing import Any, cast

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from aimass.serving.app import App
from aimass.serving.config import ServeConfig
from aimass.serving.engine import new_request_id
from aimass.serving.security import tls_context

HEADERS_LIMIT = 64 * 1024
"""Bytes that a request's line and headers may have."""
SWEEP_S = 0.5
"""How often connections are looked at; a time-out is kept to this."""
BACKLOG = 2048
_HEAD = b"HTTP/1.1 "
_INTERIM = b"HTTP/1.1 100 "


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


class BoundedProtocol(HttpToolsProtocol):
    """A connection that ends when its client is too slow, sends too much before its body, or is one too many.

    Instead of a timer for each request, it notes until when the client may take for what it sends now (`due`), and
    `HttpServer` sweeps over all connections.
    """

    options: ServeConfig
    due = math.inf
    _answers: WholeAnswers
    _fed = 0
    _in_headers = True

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
        super().data_received(data)
        if self._in_headers:
            self._fed += len(data)
            if self._fed > HEADERS_LIMIT:
                self.refuse(431, "headers_too_large", f"The headers have more than {HEADERS_LIMIT} bytes.")

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        super().on_message_begin()
        self._in_headers, self._fed = True, 0
        self.due = self.loop.time() + self.options.header_timeout_s

    def on_headers_complete(self) -> None:
        """Begin to read its body."""
        self._in_headers = False
        self.due = self.loop.time() + self.options.body_timeout_s
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Have the whole request."""
        self.due = math.inf
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Have sent the whole answer."""
        self._answers.flush()
        super().on_response_complete()

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
    app : App
        The application.
    options : ServeConfig
        Bounds, and TLS.
    """

    def __init__(self, app: App, options: ServeConfig) -> None:
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
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    async def open(self, listener: socket.socket) -> None:
        """Begin to accept."""
        self._server = await asyncio.get_running_loop().create_server(
            self._connection, sock=listener, ssl=self._tls, backlog=BACKLOG
        )
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
        return connection

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._state.connections):
            if now > cast("BoundedProtocol", connection).due:
                cast("BoundedProtocol", connection).too_slow()
        self._sweeping = loop.call_later(SWEEP_S, self._sweep)

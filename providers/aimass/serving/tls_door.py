"""Accepts TLS connections: few handshakes at a time, each in bounded time.

`loop.create_server` lets any number of clients connect and say nothing, for a minute each, before a protocol hears of
them.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

PAUSE_S = 1.0
"""How long nobody is accepted where the process has no descriptor left."""

log = logging.getLogger(__name__)


class TlsDoor:
    """Listens on a socket. Belongs to one event loop.

    Parameters
    ----------
    listener : socket
        Bound.
    context : ssl.SSLContext
        What the server speaks TLS with.
    connection : callable
        Makes the protocol of a connection, which hears of it when the handshake is done.
    handshake_s : float
        Time for a handshake.
    most : int
        Handshakes at a time; whoever comes beyond is closed at once.
    """

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        connection: Callable[[], asyncio.Protocol],
        handshake_s: float,
        most: int,
    ) -> None:
        self._listener = listener
        self._context = context
        self._connection = connection
        self._handshake_s = handshake_s
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._shaking: set[asyncio.Task[None]] = set()

    def open(self, backlog: int) -> None:
        """Begin to accept."""
        self._listener.setblocking(False)
        self._listener.listen(backlog)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept nothing more, and end the handshakes."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for task in self._shaking:
            task.cancel()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            log.error("no connection can be accepted: %s", error)
            self._loop.remove_reader(self._listener)
            self._loop.call_later(PAUSE_S, self._resume)
            return
        if len(self._shaking) >= self._most:
            client.close()
            return
        task = self._loop.create_task(self._shake(client))
        self._shaking.add(task)
        task.add_done_callback(self._shaking.discard)

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    async def _shake(self, client: socket.socket) -> None:
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._loop.connect_accepted_socket(
                self._connection, client, ssl=self._context, ssl_handshake_timeout=self._handshake_s
            )
        except OSError as error:  # it took too long, spoke no TLS, or went away
            log.debug("a TLS handshake failed: %s", error)
            client.close()

"""A TCP proxy that can cut connections: what a client sees when the network, or the server's machine, goes away."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

BLOCK_BYTES = 64 << 10


class Proxy:
    """Pass bytes between clients and one server.

    Parameters
    ----------
    host, port : str, int
        The server.

    Attributes
    ----------
    port : int
        Where the proxy listens, on 127.0.0.1.
    passed_bytes : int
        How many bytes the server has sent through it so far.
    """

    def __init__(self, host: str, port: int) -> None:
        self.passed_bytes = 0
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._cut_after: int | None = None
        self._is_down = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, size_bytes: int) -> None:
        """Cut all connections, once, when the server has sent so many more bytes."""
        self._cut_after = self.passed_bytes + size_bytes

    def cut(self) -> None:
        """Cut all connections now; new ones are let through."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def go_down(self) -> None:
        """Cut all connections, and every new one, until `come_up`."""
        self._is_down = True
        self.cut()

    def come_up(self) -> None:
        """Let new connections through again."""
        self._is_down = False

    def close(self) -> None:
        """Stop."""
        self.go_down()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._server)
        except OSError:
            client.close()
            return
        self._pairs.append((client, server))
        if self._is_down:
            self.cut()
            return
        threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
        threading.Thread(target=self._pump, args=(server, client), kwargs={"counts": True}, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, *, counts: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(BLOCK_BYTES):
                if counts:
                    self.passed_bytes += len(data)
                    if self._cut_after is not None and self.passed_bytes >= self._cut_after:
                        self._cut_after = None
                        self.cut()
                        return
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxy(host: str, port: int) -> Iterator[Proxy]:
    """Yield a proxy before the server at `host` and `port`."""
    made = Proxy(host, port)
    try:
        yield made
    finally:
        made.close()

"""The sockets that workers answer on: one each, bound to the same address, so that the kernel spreads connections."""

from __future__ import annotations

import asyncio
import errno
import socket
import time

from aimass.core.errors import ConfigError, NotAllowedError

WAIT_S = 15.0
RETRY_S = 0.2


async def bound_sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """Return `count` sockets bound to the same address, not listening yet; port 0 takes a free one.

    A port in use is waited for some seconds: the workers of a server that was killed may still finish requests there.

    Raises
    ------
    ConfigError
        There is no such address, or somebody else listens there.
    NotAllowedError
        The operating system forbids the port.
    """
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            return _bind(host, port, count)
        except OSError as error:
            where = f"{host}:{port}"
            if error.errno == errno.EACCES:
                raise NotAllowedError(f"Listening on {where} is not allowed", hint="Take a port from 1024 on") from None
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise ConfigError(
                    f"{where} cannot be listened on: {error.strerror or error}",
                    hint="Choose another port, or stop what listens there",
                ) from None
        await asyncio.sleep(RETRY_S)


def _bind(host: str, port: int, count: int) -> list[socket.socket]:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    if port:
        # With SO_REUSEPORT alone, a second server would take half of the first one's connections.
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            sockets.append(socket.socket(family, kind, protocol))
            sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sockets[-1].bind((address[0], sockets[0].getsockname()[1]) if len(sockets) > 1 else address)
    except OSError:
        for made in sockets:
            made.close()
        raise
    return sockets

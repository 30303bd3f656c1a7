"""What a worker opens to the world: REST on the socket it inherited, and gRPC beside it where that is asked for."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from aimass.serving.app import App
from aimass.serving.context import WorkerContext
from aimass.serving.engine import Engine
from aimass.serving.protocol import HttpServer
from aimass.serving.security import Tokens

if TYPE_CHECKING:
    import grpc


class Front:
    """The doors of one worker. Belongs to one event loop.

    Parameters
    ----------
    context : WorkerContext
        What answers need.
    listener : int
        File descriptor of a bound socket.

    Raises
    ------
    ConfigError
        The tokens, the certificate or its key cannot be read.
    """

    def __init__(self, context: WorkerContext, listener: int) -> None:
        self._context = context
        self._listener = listener
        self._engine = Engine(context)
        self._tokens = Tokens.read(context.config.tokens_file)
        self._http = HttpServer(App(self._engine, self._tokens), context.config)
        self._grpc: grpc.aio.Server | None = None
        self._is_open = False

    async def open(self) -> None:
        """Begin to accept; nothing happens where that is done."""
        if self._is_open:
            return
        self._is_open = True
        self._engine.start()
        await self._http.open(socket.socket(fileno=self._listener))
        if self._context.config.grpc_port is not None:
            from aimass.serving.grpc_server import start_grpc

            self._grpc = await start_grpc(self._engine, self._tokens)

    async def close(self) -> None:
        """Accept nothing more, and answer what is in flight within the time for that."""
        self._context.draining = True
        limit_s = self._context.config.drain_timeout_s
        doors = [self._http.close(limit_s)]
        if self._grpc is not None:
            doors.append(self._grpc.stop(limit_s))
        await asyncio.gather(*doors, return_exceptions=True)
        self._engine.stop()

    def queue_rows(self) -> int:
        """Return the rows that wait now."""
        return sum(self._engine.queued_rows().values())

    def counted(self) -> dict[str, dict[str, Any]]:
        """Return what was counted so far, by model."""
        return self._engine.metrics.snapshot()

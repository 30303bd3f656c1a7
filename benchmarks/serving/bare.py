"""What our HTTP server can do at most: a handler that runs the session on a prepared row, or only answers (echo).

``python -m benchmarks.serving.bare <port> <model folder> <session|echo>``; the same server, one worker. Both
answer at once, as our application does where that takes no waiting: without a task for each request.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from aimass.core.features.row_encoder import RowEncoder
from aimass.serving.config import ServeConfig
from aimass.serving.loaded import OUTPUTS, read_columns, session_options
from aimass.serving.protocol import HttpServer
from aimass.serving.rest_request import Request, Response
from benchmarks.serving.model import Released

ANSWER = Response(b'{"predictions":[{"probability":0.5,"label":"true"}]}')


class Bare:
    """An application that gives every request the same answer, at once as ours does.

    Parameters
    ----------
    run : callable
        What it does for each.
    """

    def __init__(self, run: Callable[[], Any]) -> None:
        self._run = run
        self._answer = ANSWER.wire("bare")

    def at_once(self, request: Request, body: bytes, later: Callable[[bytes], None] | None) -> bytes:
        """Answer a request that came in one piece."""
        self._run()
        return self._answer

    def sent(self) -> None:
        """Do nothing more."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer any other: the question whether it is there."""
        await receive()
        await ANSWER.send(send, "bare")


def prepared(model: Released, n_rows: int = 1) -> tuple[Any, list[dict[str, Any]]]:
    """Return a session of the model, with the options of the server, and the feeds of some rows, each by itself."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(model.onnx_file), session_options(1), providers=["CPUExecutionProvider"])
    encoder = RowEncoder(read_columns(model.graph_file))
    return session, [encoder.feeds(encoder.encode([row])) for row in model.rows(n_rows)]


async def serve(port: int, model: Released, *, with_session: bool) -> None:
    """Serve until the process is ended."""
    session, (feeds,) = prepared(model)
    app = Bare((lambda: session.run(OUTPUTS, feeds)) if with_session else lambda: None)
    listener = socket.socket()
    listener.bind(("127.0.0.1", port))
    await HttpServer(app, ServeConfig()).open(listener)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Released(Path(sys.argv[2])), with_session=sys.argv[3] == "session"))

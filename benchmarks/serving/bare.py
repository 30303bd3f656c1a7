"""What our HTTP server can do at most: a handler that runs the session on a prepared row, or only answers (echo).

``python -m benchmarks.serving.bare <port> <onnx file> <feeds> <session|echo>``; the same server, one worker.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any

import uvloop

from aimass.core.features.row_encoder import RowEncoder
from aimass.serving.config import ServeConfig
from aimass.serving.loaded import OUTPUTS, read_columns, session_options
from aimass.serving.protocol import HttpServer
from benchmarks.serving.model import Released

ANSWER = b'{"predictions":[{"probability":0.5,"label":"true"}]}'
HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))],
}
BODY = {"type": "http.response.body", "body": ANSWER}


def prepared(model: Released) -> tuple[Any, dict[str, Any]]:
    """Return a session of the model, with the options of the server, and the feeds of one row."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(model.onnx_file), session_options(1), providers=["CPUExecutionProvider"])
    encoder = RowEncoder(read_columns(model.graph_file))
    return session, encoder.feeds(encoder.encode(model.rows(1)))


async def serve(port: int, model: Released, *, with_session: bool) -> None:
    """Serve until the process is ended."""
    session, feeds = prepared(model)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if with_session:
            session.run(OUTPUTS, feeds)
        await send(HEAD)
        await send(BODY)

    listener = socket.socket()
    listener.bind(("127.0.0.1", port))
    await HttpServer(app, ServeConfig()).open(listener)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Released(Path(sys.argv[2])), with_session=sys.argv[3] == "session"))

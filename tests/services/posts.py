"""An HTTP server that keeps the JSON documents which are posted to it: the far end of a channel."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Posts:
    """What was posted.

    Attributes
    ----------
    port : int
        Where the server listens on the loopback address.
    received : list of dict
        The documents, oldest first.
    status : int
        What the server answers; only with 200 it keeps the document.
    """

    port: int
    received: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200


@contextlib.contextmanager
def received_posts() -> Iterator[Posts]:
    """Run a server until the block ends; yield what it keeps."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if posts.status == 200:
                posts.received.append(json.loads(body))
            self.send_response(posts.status)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    posts = Posts(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield posts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

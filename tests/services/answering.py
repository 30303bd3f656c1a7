"""The HTTP face of an inference server before an endpoint in memory, and one that answers whatever it is told."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from aimass.core.endpoints import Endpoint
from aimass.core.endpoints.base import LateLabel
from aimass.core.errors import NotFoundError

Answer = tuple[int, dict[str, str], bytes]


@contextlib.contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler, bytes], Answer]) -> Iterator[str]:
    """Run a server whose every answer `answer` makes, until the block ends; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, content = answer(self, body)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.do_POST()

        def do_PUT(self) -> None:
            self.do_POST()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def in_front_of(endpoint: Endpoint) -> Callable[[BaseHTTPRequestHandler, bytes], Answer]:
    """Return the answers of a server that does what `endpoint` does."""

    def answer(request: BaseHTTPRequestHandler, body: bytes) -> Answer:
        try:
            content = _route(endpoint, request.path, json.loads(body) if body else {})
        except NotFoundError as error:
            document = {"error": str(error), "code": "not_found", "request_id": "r"}
            return 404, {}, json.dumps(document).encode()
        return 200, {}, json.dumps(content).encode()

    return answer


def _route(endpoint: Endpoint, path: str, document: Any) -> Any:
    parts = urlsplit(path)
    match [unquote(step) for step in parts.path.strip("/").split("/")]:
        case ["v2", "health", "ready"]:
            return {}
        case ["aimass", "status"]:
            return endpoint.status().model_dump(mode="json")
        case ["aimass", "sync"]:
            return endpoint.sync().model_dump(mode="json")
        case ["aimass", "samples"]:
            since = parse_qs(parts.query).get("since")
            found = endpoint.samples(datetime.fromisoformat(since[0]) if since else None)
            return [sample.model_dump(mode="json") for sample in found]
        case ["aimass", "models", model, "versions", version, "shadow"]:
            return endpoint.shadow(model, version, rows=document["rows"]).model_dump(mode="json")
        case ["aimass", "models", model, "versions", version, "load"]:
            return endpoint.load(model, version).model_dump(mode="json")
        case ["aimass", "models", model, "versions", version, "unload"]:
            return endpoint.unload(model, version).model_dump(mode="json")
        case ["aimass", "models", model, "labels"]:
            endpoint.label(model, [LateLabel.model_validate(label) for label in document["labels"]])
            return {}
        case ["predict", model]:
            return endpoint.predict(model, document["rows"])
    raise NotFoundError(f"There is no route {path}")


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """Yield the address of a server that hangs: it takes connections, and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"

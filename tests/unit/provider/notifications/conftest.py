"""Real ends of both channels: a mail server and an HTTP server, each on a port of its own."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller

PASSWORD = "hunter2secret"


class Mailbox:
    """Keeps what a mail server receives."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.recipients: list[list[str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A mail server that the connection `mail` leads to."""
    box = Mailbox()
    # The controller connects to itself by the number that it is given, so a port must be found before.
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "aimass@example.org", "retry_limit": 0}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", json.dumps(connection))
        yield box
    finally:
        controller.stop()


class Sink:
    """Keeps what is posted to it; `status` is what it answers."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.status = 200


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    """An HTTP server that the connection `chat` leads to."""
    found = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if found.status == 200:
                found.posts.append(json.loads(body))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    address = f"json://user:{PASSWORD}@127.0.0.1:{server.server_port}/hook"
    connection = {"conn_type": "apprise", "extra": {"config": {"path": address, "tag": "team"}}}
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps(connection))
    yield found
    server.shutdown()
    thread.join()
    server.server_close()

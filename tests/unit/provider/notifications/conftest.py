"""Real ends of both channels, and the connections that lead to them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.services.mailbox import Mailbox, received_letters
from tests.services.posts import Posts, received_posts

PASSWORD = "hunter2secret"


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A mail server that the connection `mail` leads to."""
    with received_letters() as box:
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "aimass@example.org", "retry_limit": 0}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": box.port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", json.dumps(connection))
        yield box


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Posts]:
    """An HTTP server that the connection `chat` leads to."""
    with received_posts() as found:
        address = f"json://user:{PASSWORD}@127.0.0.1:{found.port}/hook"
        connection = {"conn_type": "apprise", "extra": {"config": {"path": address, "tag": "team"}}}
        monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps(connection))
        yield found

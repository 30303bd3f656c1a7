"""The door with connections in the runtime's file: what is wrong is said, what is secret is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aimass.core.__main__ import main
from tests.services.server import free_port

SECRET = "S3cret-77"


@pytest.mark.parametrize(
    ("conn_id", "code", "told"),
    [
        ("silent", 75, "refused"),
        ("wrong", 1, "did you mean 'password'"),
        ("none_such", 1, "AIMASS_CONN_NONE_SUCH"),
    ],
)
def test_a_connection_is_used_and_never_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], conn_id: str, code: int, told: str
) -> None:
    server = {"host": "127.0.0.1", "port": free_port(), "user": "u", "password": SECRET, "database": "d", "tls": "off"}
    connections = {"silent": server, "wrong": {**server, "pasword": SECRET}}
    (tmp_path / "runtime.json").write_text(json.dumps({"store": str(tmp_path), "connections": connections}))
    source = {"type": "mysql", "table": "orders", "conn_id": conn_id}
    (tmp_path / "config.json").write_text(json.dumps({"name": "orders", "source": source}))
    command = ["ingest", "--config", str(tmp_path / "config.json"), "--runtime", str(tmp_path / "runtime.json")]
    assert main(command) == code
    output, errors = capfd.readouterr()
    assert not output
    assert told in errors
    assert SECRET not in errors

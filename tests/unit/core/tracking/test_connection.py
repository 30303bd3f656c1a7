"""What is said when the tracking server is not there, or is something else."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.errors import (
    AimassError,
    ConfigError,
    MissingDependencyError,
    NotAllowedError,
    NotFoundError,
    UnreachableError,
)
from aimass.core.tracking import tracker_of
from aimass.core.tracking.connection import ENVIRONMENT, TOKEN, mlflow_errors, shown, tracking_uri


class Answer(BaseHTTPRequestHandler):
    """Answer every request with the status that its path begins with."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html>TOPSECRET</html>")

    do_POST = do_GET  # noqa: N815 - the base class's spelling

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture(autouse=True)
def without_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment wins over our limits: no test waits for a second attempt."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def told(uri: str) -> AimassError:
    """Return the error that opening a run at `uri` ends with."""
    runtime = Runtime(store="/nowhere", tracking_uri=uri, tracking_token="TOPSECRET")
    with pytest.raises(AimassError) as raised, tracker_of(Deps.from_runtime(runtime)).run("x", key="k", params={}):
        pass
    assert "TOPSECRET" not in str(raised.value)
    assert raised.value.__cause__ is None
    return raised.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, ConfigError), (200, ConfigError), (401, NotAllowedError), (403, NotAllowedError), (503, UnreachableError)],
)
def test_a_strange_answer_is_one_clear_error(server: str, status: int, kind: type[AimassError]) -> None:
    assert isinstance(told(f"{server}/{status}"), kind)


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("http://user:TOPSECRET@127.0.0.1:9", UnreachableError),
        ("http://no-such-host.invalid:5000", NotFoundError),
        ("ftp://host/x", ConfigError),
        ("nonsense://host/x", ConfigError),
        ("mlruns", ConfigError),
    ],
)
def test_a_wrong_address_is_one_clear_error(uri: str, kind: type[AimassError]) -> None:
    error = told(uri)
    assert isinstance(error, kind)
    assert shown(uri) in str(error)


def test_a_missing_database_driver_is_named() -> None:
    assert isinstance(told("postgresql+asyncpg://user:TOPSECRET@host/x"), (MissingDependencyError, ConfigError))


def test_limits_and_token_last_as_long_as_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    deps = Deps.from_runtime(Runtime(store="/nowhere", tracking_uri="http://host", tracking_token="TOPSECRET"))
    before = dict(os.environ)
    with mlflow_errors(deps):
        assert os.environ[TOKEN] == "TOPSECRET"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
        backoff = "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR"
        assert os.environ[backoff] == ENVIRONMENT[backoff]
    assert dict(os.environ) == before


def test_askers_that_overlap_leave_the_environment_as_it_was() -> None:
    """Pages ask from many threads: the one that comes second must not take the first one's token for what was there."""
    deps = Deps.from_runtime(Runtime(store="/nowhere", tracking_uri="http://host", tracking_token="TOPSECRET"))
    before = dict(os.environ)
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    first.enter_context(mlflow_errors(deps))
    second.enter_context(mlflow_errors(deps))
    first.close()
    assert os.environ[TOKEN] == "TOPSECRET"
    second.close()
    assert dict(os.environ) == before


def test_a_remote_store_needs_a_server() -> None:
    with pytest.raises(ConfigError, match="tracking_uri"):
        tracking_uri(Deps.from_runtime(Runtime(store="memory://bucket")))


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://u:p@host:5000/x?token=1#y", "http://host:5000/x"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("postgresql://u:p@host/db", "postgresql://host/db"),
    ],
)
def test_credentials_are_not_shown(uri: str, expected: str) -> None:
    assert shown(uri) == expected

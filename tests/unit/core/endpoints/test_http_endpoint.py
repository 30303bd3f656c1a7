import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from pydantic import ValidationError

from aimass.core.endpoints.http import MAX_ANSWER_BYTES, HttpEndpoint, HttpSettings
from aimass.core.errors import (
    AimassError,
    ConfigError,
    DataError,
    NotAllowedError,
    NotFoundError,
    TransientError,
    UnreachableError,
)
from tests.services.answering import answering, silent_server
from tests.services.server import free_port

TOKEN = "very-secret-token"


class Canned:
    """A server that answers what it is told, and keeps the last request's headers."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b"{}"
        self.seen: dict[str, str] = {}

    def __call__(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        self.seen = dict(request.headers)
        return self.status, self.headers, self.body

    def refuse(self, status: int, code: str | None = "some_code") -> None:
        self.status = status
        self.body = json.dumps({"error": "It was seen.", "code": code}).encode() if code else b"<html>no</html>"


@pytest.fixture
def canned() -> Canned:
    return Canned()


@pytest.fixture
def endpoint(canned: Canned) -> Iterator[HttpEndpoint]:
    with answering(canned) as url:
        yield HttpEndpoint(HttpSettings(url=url, token=TOKEN, timeout_s=2))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, DataError),
        (401, NotAllowedError),
        (403, NotAllowedError),
        (404, NotFoundError),
        (408, TransientError),
        (413, DataError),
        (422, DataError),
        (429, TransientError),
        (500, TransientError),
        (503, UnreachableError),
        (504, TransientError),
    ],
)
def test_an_answer_that_is_no_success_is_one_of_our_errors(
    endpoint: HttpEndpoint, canned: Canned, status: int, error: type[AimassError]
) -> None:
    canned.refuse(status)
    with pytest.raises(error, match=rf"/aimass/status with {status}: It was seen\.") as caught:
        endpoint.status()
    assert (caught.value.details["status"], caught.value.details["code"]) == (status, "some_code")
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(("status", "body"), [(404, None), (200, b"<html>"), (200, b"[1]"), (302, None), (400, None)])
def test_a_stranger_is_told_from_a_server(
    endpoint: HttpEndpoint, canned: Canned, status: int, body: bytes | None
) -> None:
    canned.refuse(status, code=None)
    canned.body = body or canned.body
    with pytest.raises(ConfigError, match="is not an inference server of AI Mass"):
        endpoint.status()


def test_retry_after_is_told(endpoint: HttpEndpoint, canned: Canned) -> None:
    canned.refuse(429)
    canned.headers = {"Retry-After": "7"}
    with pytest.raises(TransientError, match="Retry in 7 s"):
        endpoint.predict("late", [{}])


def test_the_token_is_sent_and_never_shown(endpoint: HttpEndpoint, canned: Canned) -> None:
    assert endpoint.is_ready()
    assert canned.seen["Authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in repr(endpoint.settings)


@pytest.mark.parametrize("status", [503, 404, 500])
def test_whoever_says_no_is_not_ready(endpoint: HttpEndpoint, canned: Canned, status: int) -> None:
    canned.refuse(status)
    assert not endpoint.is_ready()


def test_a_closed_port_is_unreachable_at_once() -> None:
    endpoint = HttpEndpoint(HttpSettings(url=f"http://127.0.0.1:{free_port()}"))
    assert not endpoint.is_ready()
    with pytest.raises(UnreachableError, match="does not answer"):
        endpoint.status()


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_allowed() -> None:
    with silent_server() as url:
        endpoint = HttpEndpoint(HttpSettings(url=url, timeout_s=0.2, work_timeout_s=0.2))
        start = time.monotonic()
        for ask in (endpoint.status, endpoint.sync, lambda: endpoint.shadow("late", "2")):
            with pytest.raises(UnreachableError, match=f"The server {url} does not answer: timed out"):
                ask()
        assert not endpoint.is_ready()
        assert time.monotonic() - start < 4


def test_an_answer_without_end_is_cut(endpoint: HttpEndpoint, canned: Canned) -> None:
    canned.body = b" " * (MAX_ANSWER_BYTES + 1)
    with pytest.raises(UnreachableError, match="longer than 64 MiB"):
        endpoint.status()


def test_an_answer_that_stops_halfway_is_no_answer(endpoint: HttpEndpoint, canned: Canned) -> None:
    canned.headers = {"Content-Length": "100"}
    with pytest.raises(UnreachableError):
        endpoint.status()


def test_a_host_that_does_not_exist_is_named() -> None:
    with pytest.raises(NotFoundError, match=r"server http://nowhere\.invalid does not exist"):
        HttpEndpoint(HttpSettings(url="http://nowhere.invalid")).status()


@pytest.mark.parametrize("url", ["serving:8090", "ftp://host", "http://user:password@host", "http://host?token=x"])
def test_addresses_are_plain(url: str) -> None:
    with pytest.raises(ValidationError):
        HttpSettings(url=url)


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_what_json_cannot_say_is_refused(endpoint: HttpEndpoint, value: Any) -> None:
    with pytest.raises(DataError, match="cannot be written as JSON"):
        endpoint.predict("late", [{"distance": value}])

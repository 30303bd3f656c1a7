"""HTTP as it comes off the wire: slow, greedy and broken clients are refused in the documented form."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import math
import re
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimass.core.errors import ConfigError
from aimass.serving.app import App
from aimass.serving.config import ServeConfig
from aimass.serving.protocol import BoundedProtocol, HttpServer
from aimass.serving.rest_request import Receive, Scope, Send
from aimass.serving.security import Token, Tokens, tls_context
from tests.services.asking import Asked, load
from tests.services.folder_registry import ROW

BODY = json.dumps({"rows": [ROW]}).encode()
HEAD = b"POST /predict/late HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Kept(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_written = asyncio.Event()
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        self.is_written.set()

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Wire:
    """A server on a real socket; `talk` sends bytes and returns what comes back until the server closes."""

    def __init__(self, folder: Path, *, tokens: Tokens | None = None, app: type[App] = App, **options: Any) -> None:
        self.asked = Asked(**options)
        self.asked.table.put(load(folder))
        self.app = app(self.asked.engine, tokens or Tokens())
        self.server = HttpServer(self.app, self.asked.context.config)
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        self.asked.run(self.server.open(listener))

    def talk(self, *pieces: bytes, timeout_s: float = 5.0) -> bytes:
        async def talk() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            try:
                return await asyncio.wait_for(reader.read(), timeout_s)
            finally:
                writer.close()

        return self.asked.run(talk())

    def feed(self, *pieces: bytes) -> bytes:
        """Hand pieces to a connection, each by itself; return the answer."""

        async def feed() -> bytes:
            transport = Kept()
            connection = self.server._connection()
            connection.connection_made(transport)
            for piece in pieces:
                connection.data_received(piece)
            await asyncio.wait_for(transport.is_written.wait(), 5)
            connection.connection_lost(None)
            return transport.written

        return self.asked.run(feed())

    def crowd(self, *requests: bytes, then: Callable[[BoundedProtocol], None] = lambda _: None) -> list[bytes]:
        """Hand each to a connection of its own, all in one turn of the loop; return the answers.

        `then` is called with each connection in the same turn.
        """

        async def crowd() -> list[bytes]:
            transports = [Kept() for _ in requests]
            for transport, request in zip(transports, requests, strict=True):
                connection = self.server._connection()
                connection.connection_made(transport)
                connection.data_received(request)
                then(connection)
            for transport in transports:
                await asyncio.wait_for(transport.is_written.wait(), 5)
            await asyncio.sleep(0)
            self.closed = [transport.is_closed for transport in transports]
            return [transport.written for transport in transports]

        return self.asked.run(crowd())

    def close(self) -> None:
        self.asked.run(self.server.close(1.0))
        self.asked.close()


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    wire = Wire(tmp_path, header_timeout_s=0.2, body_timeout_s=0.2, max_connections=3, keep_alive_s=0.3)
    yield wire
    wire.close()


def refusal(answer: bytes) -> tuple[int, str]:
    """Return status and code of an answer with the documented body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    document = json.loads(body)
    assert set(document) == {"error", "code", "request_id"}
    assert f"x-request-id: {document['request_id']}".encode() in head
    return int(head.split()[1]), document["code"]


def test_a_request_is_answered_and_an_idle_connection_ends(wire: Wire) -> None:
    answer = wire.talk(HEAD % len(BODY) + BODY)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'"version":"1"' in answer


def test_requests_may_follow_each_other_in_one_piece(wire: Wire) -> None:
    assert wire.talk((HEAD % len(BODY) + BODY) * 3).count(b"HTTP/1.1 200 OK") == 3


class Counting(App):
    """Counts what it was called for."""

    calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        await super().__call__(scope, receive, send)


@pytest.fixture
def always_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every run stay in the event loop, however slow the machine is."""
    monkeypatch.setattr("aimass.serving.batching.INLINE_MS", math.inf)


@pytest.fixture
def counting(tmp_path: Path, always_cheap: None) -> Iterator[tuple[Wire, Counting]]:
    tokens = Tokens([Token("ann", hashlib.sha256(b"secret").hexdigest(), frozenset({"late"}))])
    wire = Wire(tmp_path, tokens=tokens, app=Counting, keep_alive_s=0.3)
    app = wire.app
    assert isinstance(app, Counting)
    wire.talk(whole())  # the first of a version makes its batcher
    assert app.calls == 1
    yield wire, app
    wire.close()


def whole(body: bytes = BODY, *headers: bytes) -> bytes:
    more = b"\r\n".join((b"authorization: Bearer secret", b"x-request-id: r-1", *headers, b""))
    return (HEAD % len(body)).replace(b"content-type", more + b"content-type") + body


def test_an_answer_at_once_has_the_bytes_and_the_record_of_one_that_is_waited_for(
    counting: tuple[Wire, Counting],
) -> None:
    wire, app = counting
    at_once = wire.feed(whole())
    assert app.calls == 1
    assert at_once.startswith(b"HTTP/1.1 200 OK")
    request = whole()
    assert wire.feed(request[:40], request[40:-20], request[-20:]) == at_once
    assert app.calls == 2
    _, one, other = wire.asked.journal.records
    assert [matrix.tolist() for matrix in one.block] == [matrix.tolist() for matrix in other.block]
    assert one.probability.tolist() == other.probability.tolist()
    assert (one.request_id, one.resolved) == (other.request_id, other.resolved)
    counted = wire.asked.engine.metrics.snapshot()["late"]
    assert (counted["requests"], counted["rows"], counted["errors"]) == (3, 3, 0)


def test_requests_of_one_turn_share_runs_and_are_answered_as_alone(counting: tuple[Wire, Counting]) -> None:
    wire, app = counting
    bodies = [json.dumps({"rows": [{**ROW, "distance": number / 3}]}).encode() for number in range(12)]
    alone = [wire.feed(whole(body)) for body in bodies]
    for _ in range(2):
        assert wire.crowd(*map(whole, bodies)) == alone
    assert app.calls == 1
    loaded = wire.asked.table.resolve("late").loaded
    assert loaded.batcher is not None
    assert sum(loaded.batcher.tally.batches) < 12 * 3
    assert (loaded.in_flight, loaded.requests, wire.asked.engine.queued_rows()) == (0, 37, {"late": 0})
    records = wire.asked.journal.records
    assert [record.block.floats[0, 0] for record in records[1:]] == [number / 3 for number in range(12)] * 3


def test_what_follows_before_the_answer_is_kept_until_then(counting: tuple[Wire, Counting]) -> None:
    wire, _ = counting
    answers = wire.crowd(*[whole()] * 4, then=lambda each: each.data_received(whole().replace(b"r-1", b"r-2")))
    for answer in answers:
        assert re.findall(rb"x-request-id: (r-\d)", answer) == [b"r-1", b"r-2"]


def test_a_connection_ends_after_the_answer_that_it_waits_for(counting: tuple[Wire, Counting]) -> None:
    wire, app = counting
    wire.crowd(*[whole()] * 3)
    answers = wire.crowd(*[whole()] * 3, then=lambda each: each.shutdown())
    assert [answer.count(b"connection: close") for answer in answers] == [1, 1, 1]
    assert wire.closed == [True] * 3
    assert app.calls == 1


def test_a_shared_run_that_fails_fails_each_of_its_requests(
    counting: tuple[Wire, Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    wire, app = counting
    loaded = wire.asked.table.resolve("late").loaded
    wire.crowd(*[whole()] * 3)
    monkeypatch.setattr(loaded, "session", None)
    monkeypatch.setattr(loaded, "_run", None)
    assert [refusal(answer) for answer in wire.crowd(*[whole()] * 3)] == [(500, "internal")] * 3
    assert (app.calls, loaded.in_flight, wire.asked.engine.queued_rows()) == (1, 0, {"late": 0})


def test_a_queue_without_room_refuses_what_comes_at_once_too(tmp_path: Path, always_cheap: None) -> None:
    wire = Wire(tmp_path, queue_rows=2)
    try:
        wire.feed(whole())
        wire.crowd(*[whole()] * 3)
        answers = wire.crowd(*[whole()] * 5)
        assert {answer[9:12] for answer in answers} == {b"200", b"429"}
    finally:
        wire.close()


def test_requests_in_one_piece_are_answered_in_their_order_whichever_way(counting: tuple[Wire, Counting]) -> None:
    wire, app = counting
    requests = [whole().replace(b"r-1", b"r-%d" % number) for number in range(6)]
    answer = wire.talk(b"".join(requests))
    assert re.findall(rb"x-request-id: (r-\d)", answer) == [b"r-%d" % number for number in range(6)]
    assert answer.count(b"HTTP/1.1 200 OK") == 6
    assert 1 < app.calls < 7


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 5 * len(whole()) - 1), max_size=8), turns=st.lists(st.booleans(), min_size=9))
def test_wherever_requests_are_cut_each_is_answered_once_in_its_order(
    counting: tuple[Wire, Counting], cuts: list[int], turns: list[bool]
) -> None:
    wire, _ = counting
    stream = b"".join(whole().replace(b"r-1", b"r-%d" % number) for number in range(5))
    places = [0, *sorted(set(cuts)), len(stream)]

    async def feed() -> bytes:
        transport = Kept()
        connection = wire.server._connection()
        connection.connection_made(transport)
        for (start, stop), turn in zip(itertools.pairwise(places), turns, strict=False):
            connection.data_received(stream[start:stop])
            if turn:
                await asyncio.sleep(0)
        async with asyncio.timeout(20):
            while transport.written.count(b"HTTP/1.1 200 OK") < 5:
                await asyncio.sleep(0)
        connection.connection_lost(None)
        return transport.written

    before = len(wire.asked.journal.records)
    assert re.findall(rb"x-request-id: (r-\d)", wire.asked.run(feed())) == [b"r-%d" % number for number in range(5)]
    assert [record.request_id for record in wire.asked.journal.records[before:]] == [f"r-{n}" for n in range(5)]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (whole().replace(b"secret", b"wrong"), 401),
        (whole().replace(b"/predict/late", b"/predict/soon"), 403),
        (whole().replace(b"application/json", b"text/plain"), 415),
        (whole(b"nonsense"), 400),
        (whole(json.dumps({"rows": [{**ROW, "distance": "far"}]}).encode()), 200),
        (whole(json.dumps({"rows": [ROW, ROW]}).encode()), 200),
        (whole().replace(b"/predict/late", b"/predict/late?version=1"), 200),
        (whole().replace(b"/predict/late", b"/predict/l%61te"), 200),
        (whole(BODY, b"connection: close"), 200),
    ],
)
def test_what_is_not_plain_is_answered_as_if_it_had_come_in_pieces(
    counting: tuple[Wire, Counting], sent: bytes, status: int
) -> None:
    wire, _ = counting
    answer = wire.feed(sent)
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert wire.feed(sent[:40], sent[40:]) == answer


def test_an_answer_without_a_body_is_sent_too(wire: Wire) -> None:
    answer = wire.talk(b"HEAD /v2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\n")


def test_a_client_that_waits_for_leave_to_send_gets_it(wire: Wire) -> None:
    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write((HEAD % len(BODY)).replace(b"host: x", b"host: x\r\nexpect: 100-continue"))
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(BODY)
        answer = await asyncio.wait_for(reader.readuntil(b"}]}"), 5)
        writer.close()
        return answer

    assert wire.asked.run(ask()).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", (408, "slow_body")),
        (b"POST /predict/late HTTP/1.1\r\nhost:", (408, "slow_body")),
        (HEAD % len(BODY) + BODY[:-1], (408, "slow_body")),
        (b"nonsense\r\n\r\n", (400, "malformed")),
        (HEAD.replace(b"late", b"\xe9") % 5, (400, "malformed")),
        (HEAD.replace(b"late", b"\xe9") % 5 + b"12345", (400, "malformed")),
        (b"GET /v2 HTTP/1.1\r\nx: " + b"a" * 70_000, (431, "headers_too_large")),
    ],
)
def test_what_does_not_end_or_is_not_http_is_refused(wire: Wire, sent: bytes, expected: tuple[int, str]) -> None:
    assert refusal(wire.talk(sent)) == expected


def test_a_body_that_goes_on_after_its_refusal_ends_the_connection(wire: Wire) -> None:
    answer = wire.talk(HEAD % 100_000_000 + b"x" * 1000)
    assert refusal(answer) == (413, "too_large")


def test_one_connection_too_many_is_told_so(wire: Wire) -> None:
    async def crowd() -> bytes:
        held = [await asyncio.open_connection("127.0.0.1", wire.port) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        answer = await asyncio.wait_for(reader.read(), 5)
        for _, each in [*held, (reader, writer)]:
            each.close()
        return answer

    assert refusal(wire.asked.run(crowd())) == (503, "unavailable")


def test_a_client_that_goes_away_is_nobodys_error(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    async def leave() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(HEAD % 10 + b"x")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await asyncio.sleep(0.05)

    wire.asked.run(leave())
    assert caplog.records == []


def test_tls_is_spoken_with_the_certificate_of_the_options(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    wire = Wire(tmp_path, tls_cert=cert, tls_key=key)

    async def ask() -> httpx.Response:
        trust = ssl.create_default_context(cafile=str(cert))
        async with httpx.AsyncClient(verify=trust) as client:
            return await client.post(f"https://localhost:{wire.port}/predict/late", json={"rows": [ROW]})

    try:
        assert wire.asked.run(ask()).status_code == 200
    finally:
        wire.close()


def test_a_certificate_that_is_none_is_a_mistake_of_configuration(tmp_path: Path) -> None:
    file = tmp_path / "cert.pem"
    file.write_text("nothing")
    with pytest.raises(ConfigError, match="cannot be used for TLS"):
        tls_context(ServeConfig(tls_cert=file, tls_key=file))
    assert tls_context(ServeConfig()) is None

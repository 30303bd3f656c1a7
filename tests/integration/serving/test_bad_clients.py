"""A real server with two workers, and clients that send rubbish, too much, or too slowly."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from aimass_client import Client, InvalidRowsError, TooLargeError, UnreachableError
from tests.services.folder_registry import ROW, FolderRegistry
from tests.services.inference import Inference, inference_server

pytestmark = [pytest.mark.integration("serving"), pytest.mark.slow]

GROWTH = 150 * 1024 * 1024
"""What the server's processes may grow by while somebody sends rubbish, in bytes."""
HEAD = b"POST /predict/late HTTP/1.1\r\nHost: x\r\n"
STARTS = (b"", b'{"rows": [{"distance": ', b'{"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": ')
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(folder_registry: FolderRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inference]:
    options = {"workers": 2, "body_limit_mb": 1, "body_timeout_s": 1, "header_timeout_s": 1}
    with inference_server(tmp_path_factory.mktemp("server"), folder_registry, **options) as server:
        yield server


def memory(server: Inference) -> int:
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    return sum(process.memory_info().rss for process in processes)


@pytest.fixture
def steady(server: Inference) -> Iterator[Inference]:
    """The server, which must be the same processes, answer, and not have grown much, whatever the test sends."""
    server.wait_for(lambda: len(server.workers()) == 2)
    workers, before = server.workers(), memory(server)
    yield server
    assert server.predict().status_code == 200
    assert server.workers() == workers
    assert memory(server) - before < GROWTH


def test_a_body_of_100_mb_is_refused(steady: Inference) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b" " * (1 << 20) for _ in range(100))

    for _ in range(3):
        try:
            answer = steady.http.post("/predict/late", content=chunks(), headers=JSON)
        except httpx.TransportError:  # the server closed while we still sent
            continue
        assert answer.status_code == 413
    with Client(f"http://127.0.0.1:{steady.port}") as client, pytest.raises((TooLargeError, UnreachableError)):
        client.predict("late", [{**ROW, "origin": "x" * (5 << 20)}])


@pytest.mark.parametrize("path", ["/predict/late", "/v2/models/late/infer"])
@pytest.mark.parametrize("nest", [b"[", b'{"a":'])
def test_deep_json_is_malformed(steady: Inference, path: str, nest: bytes) -> None:
    for start in STARTS:
        answer = steady.http.post(path, content=start + nest * (900_000 // len(nest)), headers=JSON)
        assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize("head", [HEAD, HEAD + b"Content-Length: 100\r\n\r\n{"])
def test_clients_that_dawdle_are_ended_and_others_are_served(steady: Inference, head: bytes) -> None:
    dawdlers = [socket.create_connection(("127.0.0.1", steady.port)) for _ in range(50)]
    for dawdler in dawdlers:
        dawdler.sendall(head)
    took = []
    for _ in range(20):
        start = time.monotonic()
        assert steady.predict().status_code == 200
        took.append(time.monotonic() - start)
    assert sorted(took)[10] < 1
    for dawdler in dawdlers:
        dawdler.settimeout(10)
        assert b" 408 " in dawdler.recv(4096).splitlines()[0]
        dawdler.close()


@pytest.mark.parametrize(
    ("row", "status", "word"),
    [
        ({**ROW, "distance": "far"}, 200, ""),
        ({**ROW, "distance": None}, 200, ""),
        ({**ROW, "origin": 1.5}, 422, "origin"),
        ({"distance": 1.0, "stops": 1}, 422, "origin"),
        ({**ROW, "distanc": 1.0}, 422, "distanc"),
        ({**ROW, "distance": [1.0]}, 422, "rows"),
    ],
)
def test_rows_that_do_not_fit_are_named(steady: Inference, row: dict[str, Any], status: int, word: str) -> None:
    answer = steady.http.post("/predict/late", json={"rows": [row]})
    assert answer.status_code == status
    assert word in answer.text


def test_nan_is_not_json(steady: Inference) -> None:
    body = json.dumps({"rows": [{**ROW, "distance": float("nan")}]}).encode()
    assert steady.http.post("/predict/late", content=body, headers=JSON).status_code == 400


def test_many_clients_get_the_answers_to_their_own_rows(steady: Inference) -> None:
    wrong: list[Any] = []

    def ask(number: int) -> None:
        row = {**ROW, "distance": float(number)}
        with Client(f"http://127.0.0.1:{steady.port}") as client:
            expected = client.predict("late", [row]).rows
            for _ in range(30):
                found = client.predict("late", [row], request_id=f"r-{number}")
                if found.rows != expected or found.request_id != f"r-{number}":
                    wrong.append(found)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_wrong_columns_are_told_by_the_client(steady: Inference) -> None:
    with Client(f"http://127.0.0.1:{steady.port}") as client, pytest.raises(InvalidRowsError, match="'distance'"):
        client.predict("late", [{"origin": "JFK", "stops": 1, "distanc": 1.0}])

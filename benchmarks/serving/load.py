"""Load for an HTTP server, from a process of its own: raw sockets, prepared requests, every answer read and checked.

Closed loop: each connection asks again once it is answered. Open loop (``--rate``): requests are due at fixed times,
whether the server keeps up or not, and latency counts from when they were due.
Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import uvloop

from benchmarks.serving.servers import Server

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
WARM_S = 1.0
TICK_S = 0.001
"""The resolution of uvloop's timers: it takes a shorter sleep for none, and would take a core from the server."""


@dataclass(frozen=True)
class Load:
    """What one run saw.

    Attributes
    ----------
    per_s : float
        Answers per second.
    p50_ms, p99_ms : float
        Latency.
    answers, errors, bytes : int
        Good answers, all others, and bytes of the bodies read.
    cpu_ms : float
        CPU time of the server's processes per answer; the machine's other work changes it little.
    """

    per_s: float
    p50_ms: float
    p99_ms: float
    answers: int
    errors: int
    bytes: int
    cpu_ms: float = 0.0


class Run:
    """The state that all connections share: which request comes next, and what was seen."""

    def __init__(self, requests: Sequence[bytes], expect: bytes, seconds: float) -> None:
        self._requests = requests
        self._next = 0
        self.expect = expect
        self.begin = time.perf_counter() + WARM_S
        self.end = self.begin + seconds
        self.latencies: list[float] = []
        self.errors = 0
        self.bytes = 0

    def request(self) -> bytes:
        """Return the next request."""
        self._next = (self._next + 1) % len(self._requests)
        return self._requests[self._next]

    def note(self, due: float, status: bytes, body: bytes) -> None:
        """Note an answer."""
        now = time.perf_counter()
        if not self.begin <= now <= self.end:
            return
        if status != b"200" or self.expect not in body:
            self.errors += 1
            return
        self.latencies.append(now - due)
        self.bytes += len(body)

    def result(self) -> Load:
        """Return what was seen."""
        if not self.latencies:
            return Load(0.0, 0.0, 0.0, 0, self.errors, 0)
        ms = np.array(self.latencies) * 1e3
        return Load(
            len(ms) / (self.end - self.begin),
            float(np.percentile(ms, 50)),
            float(np.percentile(ms, 99)),
            len(ms),
            self.errors,
            self.bytes,
        )


class Connection(asyncio.Protocol):
    """One connection that asks one request at a time."""

    def __init__(self, run: Run, waiting: deque[float] | None, idle: list[Connection]) -> None:
        self._run = run
        self._waiting = waiting
        self._idle = idle
        self._buffer = b""
        self._due = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask at once in a closed loop, or wait for a request to be due."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self.go_on()

    def go_on(self) -> None:
        """Send the next request, where there is one."""
        if time.perf_counter() > self._run.end:
            return
        if self._waiting is None:
            self.ask(time.perf_counter())
        elif self._waiting:
            self.ask(self._waiting.popleft())
        else:
            self._idle.append(self)

    def ask(self, due: float) -> None:
        """Send one request."""
        assert self._transport is not None
        self._due = due
        self._transport.write(self._run.request())

    def data_received(self, data: bytes) -> None:
        """Read the answer; when it is whole, note it and go on."""
        self._buffer = self._buffer + data if self._buffer else data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        found = LENGTH.search(self._buffer, 0, head)
        if found is None:
            if not self._buffer.endswith(b"0\r\n\r\n"):  # in chunks
                return
        elif len(self._buffer) < head + 4 + int(found[1]):
            return
        self._run.note(self._due, self._buffer[9:12], self._buffer[head + 4 :])
        self._buffer = b""
        self.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a connection that the server ended."""
        if time.perf_counter() < self._run.end:
            self._run.errors += 1


async def put(run: Run, port: int, connections: int, rate: float | None) -> None:
    """Put the load on the server."""
    loop = asyncio.get_running_loop()
    waiting: deque[float] | None = None if rate is None else deque()
    idle: list[Connection] = []
    for _ in range(connections):
        await loop.create_connection(lambda: Connection(run, waiting, idle), "127.0.0.1", port)
    if rate is None or waiting is None:
        await asyncio.sleep(run.end - time.perf_counter() + 0.05)
        return
    due = time.perf_counter()
    while due < run.end:
        await asyncio.sleep(max(TICK_S, due - time.perf_counter()))
        while due <= time.perf_counter():
            if idle:
                idle.pop().ask(due)
            else:
                waiting.append(due)
            due += 1 / rate
    await asyncio.sleep(0.1)


def load(
    server: Server | int,
    requests: Path,
    *,
    connections: int,
    seconds: float,
    expect: str,
    rate: float | None = None,
) -> Load:
    """Run this file in a process of its own; return what it saw.

    Parameters
    ----------
    server : Server or int
        The server, or just its port, whose CPU time is not asked for then.
    requests : Path
        Requests, as `write_requests` writes them; they are asked in turn.
    expect : str
        What stands in every good answer.
    """
    server = Server(server) if isinstance(server, int) else server
    command = [sys.executable, "-m", "benchmarks.serving.load", str(server.port), str(requests)]
    command += ["--connections", str(connections), "--seconds", str(seconds), "--expect", expect]
    command += [] if rate is None else ["--rate", str(rate)]
    before_s = server.cpu_s()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    cpu_ms = (server.cpu_s() - before_s) * 1e3
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    seen = json.loads(done.stdout.splitlines()[-1])
    return Load(**seen, cpu_ms=cpu_ms / max(seen["answers"] * (seconds + WARM_S) / seconds, 1))


def write_requests(
    file: Path, path: str, bodies: Sequence[bytes], *, headers: Sequence[Mapping[str, str]] = ()
) -> Path:
    """Write POST requests with these bodies to `file`; `headers` are those of each beside the usual ones."""
    requests = []
    for index, body in enumerate(bodies):
        lines = {"Host": "127.0.0.1", "Content-Type": "application/json", **(headers[index] if headers else {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        requests.append(f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    file.write_text(json.dumps([request.decode("latin-1") for request in requests]))
    return file


def main() -> None:
    """Read the command line, put the load, print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.load", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("requests", type=Path)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, help="requests per second of an open loop")
    parser.add_argument("--expect", default="")
    given = parser.parse_args()
    requests = [text.encode("latin-1") for text in json.loads(given.requests.read_text())]
    run = Run(requests, given.expect.encode(), given.seconds)
    uvloop.run(put(run, given.port, given.connections, given.rate))
    print(json.dumps({name: value for name, value in asdict(run.result()).items() if name != "cpu_ms"}))


if __name__ == "__main__":
    main()

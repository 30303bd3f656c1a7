"""Open-loop load that checks every answer while versions are switched: whole, of one version, of the right one.

Without a rate the loop is closed: every connection asks again once it is answered. What it gets is the most that the
server and this client, which checks more than others do, reach together on the machine that they share.
Run in a process of its own; prints one line of JSON when its time is up.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import uvloop

from benchmarks.serving.load import TICK_S

HEAD = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
SETTLE_S = 0.3
READY = 256
VERSION = re.compile(rb"\r\nx-model-version: *(\S+)", re.IGNORECASE)


@dataclass
class Seen:
    """What came back.

    Attributes
    ----------
    failed : int
        No answer, or one that is not 200.
    mixed : int
        Answers whose header, body and every row's probability do not agree on one version.
    answers : list of (sent, received, due, version)
        The others, times in seconds.
    """

    failed: int = 0
    mixed: int = 0
    answers: list[tuple[float, float, float, str]] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One connection that asks one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._asked: tuple[int, float, float] | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready to ask."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._load.take(self)

    def ask(self, number: int, due: float) -> None:
        """Send one request."""
        assert self._transport is not None
        self._asked = number, due, time.perf_counter()
        self._transport.write(self._load.requests[number])

    def data_received(self, data: bytes) -> None:
        """Read the answer; when it is whole, check it."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        length = HEAD.search(self._buffer, 0, end) if end >= 0 else None
        if length is None or len(self._buffer) < end + 4 + int(length[1]) or self._asked is None:
            return
        number, due, sent = self._asked
        self._load.check(number, due, sent, self._buffer[:end], self._buffer[end + 4 :])
        self._buffer, self._asked = b"", None
        self._load.take(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count what was asked and never answered."""
        if self._asked is not None:
            self._load.seen.failed += 1


class Load:
    """Requests that are due at fixed times, and what came of them.

    Parameters
    ----------
    requests : sequence of bytes
        What is asked in turn.
    expected : dict
        By version, for each request the probabilities of its rows.
    """

    def __init__(self, requests: Sequence[bytes], expected: dict[str, list[list[float]]]) -> None:
        self.requests = requests
        self.seen = Seen()
        self._expected = expected
        self._idle: list[Client] = []
        self._waiting: deque[tuple[int, float]] = deque()

    def take(self, client: Client) -> None:
        """Give an idle connection the next request that waits."""
        if self._waiting:
            client.ask(*self._waiting.popleft())
        else:
            self._idle.append(client)

    def check(self, number: int, due: float, sent: float, head: bytes, body: bytes) -> None:
        """Note an answer."""
        received = time.perf_counter()
        if head[9:12] != b"200":
            self.seen.failed += 1
            return
        answer: dict[str, Any] = json.loads(body)
        version = answer["version"]
        said = VERSION.search(head + b"\r\n")
        rows = [row["probability"] for row in answer["predictions"]]
        if said is None or said[1].decode() != version or rows != self._expected[version][number]:
            self.seen.mixed += 1
            return
        self.seen.answers.append((sent, received, due, version))

    async def run(self, port: int, connections: int, rate: float | None, seconds: float) -> None:
        """Put the load on the server for so long, and until standard input ends."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            await loop.create_connection(lambda: Client(self), "127.0.0.1", port)
        if rate is None:
            await self._run_closed(seconds)
        else:
            await self._run_open(rate, seconds)
        async with asyncio.timeout(30):
            while len(self._idle) < connections:
                await asyncio.sleep(0.05)

    async def _run_closed(self, seconds: float) -> None:
        """Always have a request waiting."""
        end = time.perf_counter() + seconds
        number = 0
        while (now := time.perf_counter()) < end:
            while self._idle or len(self._waiting) < READY:
                number = (number + 1) % len(self.requests)
                self._waiting.append((number, now))
                while self._waiting and self._idle:
                    self._idle.pop().ask(*self._waiting.popleft())
            await asyncio.sleep(TICK_S)
        self._waiting.clear()

    async def _run_open(self, rate: float, seconds: float) -> None:
        """Make requests due at fixed times."""
        loop = asyncio.get_running_loop()
        due = time.perf_counter()
        end = due + seconds
        number = 0
        told_to_end = loop.run_in_executor(None, sys.stdin.read)
        while due < end or not told_to_end.done():
            await asyncio.sleep(max(TICK_S, due - time.perf_counter()))
            while due <= time.perf_counter():
                number = (number + 1) % len(self.requests)
                self._waiting.append((number, due))
                due += 1 / rate
            while self._waiting and self._idle:
                self._idle.pop().ask(*self._waiting.popleft())


def went_back(answers: Sequence[tuple[float, float, float, str]]) -> int:
    """Return how many requests were sent when somebody had an answer of the newer version already, and got the older.

    All workers switch at once, so that there must be none. Switches are more than `SETTLE_S` apart.
    """
    current, since, wrong = "", -SETTLE_S, 0
    for sent, received, _, version in sorted(answers, key=lambda answer: answer[1]):
        if version == current:
            continue
        if received - since > SETTLE_S:
            current, since = version, received
        else:
            wrong += sent > since
    return wrong


def main() -> None:
    """Read the command line, put the load, print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.switch_load", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("plan", type=Path, help="JSON: requests, and the expected probabilities by version")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, help="requests per second; as many as are answered when left out")
    given = parser.parse_args()
    plan = json.loads(given.plan.read_text())
    load = Load([text.encode("latin-1") for text in plan["requests"]], plan["expected"])
    uvloop.run(load.run(given.port, given.connections, given.rate, given.seconds))
    seen = load.seen
    ms = np.array([received - due for _, received, due, _ in seen.answers]) * 1e3
    versions = [version for _, _, _, version in sorted(seen.answers)]
    print(
        json.dumps(
            {
                "answers": len(seen.answers),
                "failed": seen.failed,
                "mixed": seen.mixed + went_back(seen.answers),
                "p50_ms": float(np.percentile(ms, 50)),
                "p99_ms": float(np.percentile(ms, 99)),
                "max_ms": float(ms.max()),
                "changes": sum(one != other for one, other in itertools.pairwise(versions)),
            }
        )
    )


if __name__ == "__main__":
    main()

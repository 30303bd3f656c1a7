"""Documents that keep coming while reads of them, and the server, are killed: each document is read once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from bson import ObjectId
from pymongo.errors import PyMongoError

from tests.crash.ingest_kills import Histogram, prove_exactly_once, prove_full_reads
from tests.services.mongodb import MongoDb, mongodb_server

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.integration("mongodb")]
DOCUMENTS = 2
WRITTEN_SHARE = 0.5
BEHIND_S = 20
RESTART_EVERY = 20
THERE_BEFORE = 120


class LiveCollection:
    """A collection into which two clients write, one of them with a clock that is behind."""

    key = "_id"

    def __init__(self, server: MongoDb, seed: int) -> None:
        source = {"type": "mongodb", "collection": "live", "cursor": "_id", "batch_documents": 50}
        self.config: dict[str, Any] = {"source": source}
        self.connections: dict[str, Any] = {"aimass_mongodb": server.connection(timeout_s=2)}
        self._server = server
        self._draw = random.Random(seed)
        self._written = 0
        self._client = server.admin()
        self._collection = self._client[server.database].live

    def write(self) -> None:
        # The stand-in looks through the whole collection for each question: that must stay small.
        if self._draw.random() <= WRITTEN_SHARE or not self._written:
            self.insert()

    def insert(self) -> None:
        """Write two documents, of the time of now or of an earlier one."""
        now_s = int(time.time()) - (BEHIND_S if self._draw.random() < 1 / 3 else 0)
        ids = [ObjectId(now_s.to_bytes(4, "big") + self._draw.randbytes(8)) for _ in range(DOCUMENTS)]
        numbers = range(self._written, self._written + DOCUMENTS)
        self._written += DOCUMENTS
        documents = [{"_id": each, "n": n, "in": {"text": f"text {n}"}} for each, n in zip(ids, numbers, strict=True)]
        try:
            self._collection.insert_many(documents)
        except PyMongoError:
            # The server is down on purpose; what it took of these, the truth will tell.
            return

    def truth(self) -> pl.DataFrame:
        found = self._collection.find().sort("_id", 1)
        rows = [{"_id": str(each["_id"]), "n": each["n"], "in.text": each["in"]["text"]} for each in found]
        return pl.DataFrame(rows, schema={"_id": pl.String, "n": pl.Int64, "in.text": pl.String})

    def restart(self, number: int) -> None:
        """Kill the server now and then, and start it again."""
        if number % RESTART_EVERY == RESTART_EVERY // 2:
            self._server.kill()
            self._server.start()

    def close(self) -> None:
        """Let go of the server."""
        self._client.close()


def proven(
    prove: Callable[..., Histogram],
    make: Callable[[MongoDb, int], LiveCollection],
    request: pytest.FixtureRequest,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Have reads of the collection that `make` makes killed, and print where."""
    points, seed = request.config.getoption("read_points"), request.config.getoption("--crash-seed")
    with mongodb_server(folder) as server, closing(make(server, seed)) as live:
        disturb = live.restart if server.is_own else None
        histogram = prove(live, points=points, seed=seed, folder=folder / "reads", disturb=disturb)
        rows = live.truth().height
    with capsys.disabled():
        print(f"\n{histogram.total()} kills, seed {seed}; {rows:,} documents, none lost, none doubled")
        print(histogram.text())


@pytest.mark.timeout(0)
def test_documents_are_read_once(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proven(prove_exactly_once, LiveCollection, request, tmp_path, capsys)


class FullCollection(LiveCollection):
    """The same, read from its beginning each time; it fits in memory, or is taken for one that does not."""

    def __init__(self, server: MongoDb, seed: int, *, fits: bool) -> None:
        super().__init__(server, seed)
        self.config = {
            "source": {"type": "mongodb", "collection": "live", "batch_documents": 50, "sample_documents": 50},
            "mode": "full",
        }
        self.constants = {} if fits else {"aimass.core.sources.mongodb.whole:WHOLE_BYTES": 1_000}
        for _ in range(THERE_BEFORE):
            self.insert()


@pytest.mark.timeout(0)
@pytest.mark.parametrize("fits", [True, False])
def test_each_full_read_has_every_document_once(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, fits: bool
) -> None:
    proven(prove_full_reads, partial(FullCollection, fits=fits), request, tmp_path, capsys)

"""Files that keep coming to HDFS while reads of them, and the DataNode, are killed: each file's rows are read once."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.crash.ingest_kills import prove_exactly_once
from tests.services.hadoop import Hadoop, hdfs_server

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.integration("hdfs"), pytest.mark.xdist_group("hdfs")]
ROWS = 25
FILES_AT_ONCE = 8
DATA_NODE_EVERY = 20


class LiveFolder:
    """A folder into which files are moved; every third one sorts before those that are there."""

    key = "number"

    def __init__(self, server: Hadoop) -> None:
        self.config: dict[str, Any] = {"source": {"type": "hdfs", "path": "/live/*.csv"}}
        self._server = server
        self._protocols = itertools.cycle(["rpc", "rpc", "webhdfs"])
        self._files = itertools.count(1)
        self._ready: list[tuple[int, pl.DataFrame]] = []
        self._rows = pl.DataFrame(schema={"number": pl.Int64, "text": pl.String})
        self._uploading = threading.Lock()
        server.client.mkdirs("/live", 0o755, True)

    @property
    def connections(self) -> dict[str, Any]:
        """The connection of the next read: a chain goes on when the protocol changes."""
        return {"aimass_hdfs": self._server.connection(next(self._protocols), timeout_s=10)}

    def write(self) -> None:
        if not self._ready:
            # It takes half a second until one is closed, however small: many at a time.
            numbers = list(itertools.islice(self._files, FILES_AT_ONCE))
            with self._uploading, ThreadPoolExecutor(FILES_AT_ONCE) as uploads:
                self._ready = list(zip(numbers, uploads.map(self._upload, numbers), strict=True))
        number, rows = self._ready.pop(0)
        order = 500_000 + (-number if number % 3 == 0 else number)
        self._server.client.rename(f"/ready/{number}.csv", f"/live/{order}.csv", overwrite=False)
        self._rows = pl.concat([self._rows, rows])

    def disturb(self, number: int) -> None:
        """Kill the DataNode now and then, and start it again; files go on to be moved meanwhile."""
        if number % DATA_NODE_EVERY == DATA_NODE_EVERY // 2:
            # An upload whose DataNode dies hangs for half a minute, which proves nothing about reads.
            with self._uploading:
                self._server.data_node.kill()
                self._server.data_node.start()

    def truth(self) -> pl.DataFrame:
        return self._rows

    def _upload(self, number: int) -> pl.DataFrame:
        """Write a file where nobody reads it, and return its rows."""
        rows = pl.DataFrame({"number": range(number * ROWS, (number + 1) * ROWS)}).with_columns(
            text=pl.lit("text ") + pl.col("number").cast(pl.String)
        )
        self._server.put(f"/ready/{number}.csv", rows.write_csv().encode())
        return rows


@pytest.mark.timeout(0)
def test_rows_of_files_in_hdfs_are_read_once(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points, seed = request.config.getoption("read_points"), request.config.getoption("--crash-seed")
    with hdfs_server(tmp_path / "hadoop") as server:
        live = LiveFolder(server)
        histogram = prove_exactly_once(live, points=points, seed=seed, folder=tmp_path / "reads", disturb=live.disturb)
    with capsys.disabled():
        print(f"\n{histogram.total()} kills, seed {seed}; {live.truth().height:,} rows, none lost, none doubled")
        print(histogram.text())

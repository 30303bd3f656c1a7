"""Files that keep coming to HDFS while reads of them, and the DataNode, are killed: each file's rows are read once."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.crash.ingest_kills import prove_exactly_once
from tests.services.hadoop import Hadoop, hdfs_server

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.integration("hdfs"), pytest.mark.xdist_group("hdfs")]
ROWS = 25
DATA_NODE_EVERY = 20


class LiveFolder:
    """A folder into which files are moved; every third one sorts before those that are there."""

    key = "number"

    def __init__(self, server: Hadoop) -> None:
        self.config: dict[str, Any] = {"source": {"type": "hdfs", "path": "/live/*.csv"}}
        self._server = server
        self._protocols = itertools.cycle(["rpc", "rpc", "webhdfs"])
        self._files = itertools.count(1)
        self._rows = pl.DataFrame(schema={"number": pl.Int64, "text": pl.String})

    @property
    def connections(self) -> dict[str, Any]:
        """The connection of the next read: a chain goes on when the protocol changes."""
        return {"aimass_hdfs": self._server.connection(next(self._protocols), timeout_s=10)}

    def write(self) -> None:
        first = self._rows.height
        rows = pl.DataFrame({"number": range(first, first + ROWS)}).with_columns(
            text=pl.lit("text ") + pl.col("number").cast(pl.String)
        )
        number = next(self._files)
        path = f"/live/{500_000 + (-number if number % 3 == 0 else number)}.csv"
        try:
            self._server.put(path, rows.write_csv().encode())
        except (OSError, RuntimeError):
            # No DataNode: the file keeps its hidden name, under which nobody reads it.
            return
        self._rows = pl.concat([self._rows, rows])

    def truth(self) -> pl.DataFrame:
        return self._rows


@pytest.mark.timeout(0)
def test_rows_of_files_in_hdfs_are_read_once(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points, seed = request.config.getoption("--crash-points"), request.config.getoption("--crash-seed")
    with hdfs_server(tmp_path / "hadoop") as server:
        live = LiveFolder(server)

        def disturb(number: int) -> None:
            if number % DATA_NODE_EVERY == DATA_NODE_EVERY // 2:
                server.data_node.kill()
                server.data_node.start()

        histogram = prove_exactly_once(live, points=points, seed=seed, folder=tmp_path / "reads", disturb=disturb)
    with capsys.disabled():
        print(f"\n{histogram.total()} kills, seed {seed}; {live.truth().height:,} rows, none lost, none doubled")
        print(histogram.text())

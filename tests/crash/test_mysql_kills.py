"""Rows that keep being committed to MySQL, lower numbers often later, while reads are killed: each is read once."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.crash.ingest_kills import prove_exactly_once
from tests.services.mariadb import MariaDb, mariadb_server

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.integration("mysql"), pytest.mark.xdist_group("mysql")]
ROWS = 10


class LiveTable:
    """A table with a number that the server draws, and transactions that stay open while later ones commit.

    Parameters
    ----------
    server : MariaDb
        Where it is.
    incremental : str
        The column by which new rows are told: ``number``, or ``changed``, which many rows share.
    """

    key = "number"

    def __init__(self, server: MariaDb, incremental: str) -> None:
        self.server = server
        source = {"type": "mysql", "table": "live", "incremental": [incremental]}
        self.config: dict[str, Any] = {"source": source}
        self.connections: dict[str, Any] = {"aimass_mysql": server.connection()}
        server.run(
            "DROP TABLE IF EXISTS live",
            "CREATE TABLE live (number INT PRIMARY KEY AUTO_INCREMENT, changed DATETIME NOT NULL, text TEXT, "
            "INDEX (changed))",
        )
        # One that is open holds numbers and times below those that the other one commits meanwhile.
        self._open = [server.connect(autocommit=False), server.connect(autocommit=False)]
        self._turn = 0

    def write(self) -> None:
        self._turn += 1
        connection = self._open[self._turn % 2]
        with contextlib.closing(connection.cursor()) as cursor:
            insert = "INSERT INTO live (changed, text) VALUES (NOW(), %s)"
            cursor.executemany(insert, [[f"row {self._turn}.{i}"] for i in range(ROWS)])
        if self._turn % 3:
            connection.commit()

    def truth(self) -> pl.DataFrame:
        for connection in self._open:
            connection.rollback()
        rows = self.server.run("SELECT number, text FROM live")
        return pl.DataFrame(rows, schema={"number": pl.Int64, "text": pl.String}, orient="row")


@pytest.mark.timeout(0)
@pytest.mark.parametrize("incremental", ["number", "changed"])
def test_rows_of_a_table_are_read_once(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str], incremental: str
) -> None:
    points = max(1, request.config.getoption("read_points") // 2)
    seed = request.config.getoption("--crash-seed")
    with mariadb_server(tmp_path / "server") as server:
        live = LiveTable(server, incremental)
        histogram = prove_exactly_once(live, points=points, seed=seed, folder=tmp_path / "reads")
        rows = live.truth().height
    with capsys.disabled():
        print(f"\n{histogram.total()} kills by {incremental}, seed {seed}; {rows:,} rows, none lost, none doubled")
        print(histogram.text())

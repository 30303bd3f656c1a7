"""Files that keep coming while reads of them are killed: each file's rows are read once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.crash.ingest_kills import prove_exactly_once

pytestmark = [pytest.mark.crash, pytest.mark.slow]
ROWS = 25


class LiveFiles:
    """A folder into which CSV files are moved; every third one sorts before those that are there."""

    key = "number"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        self.config: dict[str, Any] = {"source": {"type": "files", "uri": f"{folder.as_uri()}/*.csv"}}
        self.connections: dict[str, Any] = {}
        self._files = 0
        self._rows = pl.DataFrame(schema={"number": pl.Int64, "text": pl.String})

    def write(self) -> None:
        first = self._rows.height
        numbers = range(first, first + ROWS)
        rows = pl.DataFrame({"number": numbers, "text": [f"text {i}" for i in numbers]})
        self._files += 1
        order = 500_000 - self._files if self._files % 3 == 0 else 500_000 + self._files
        rows.write_csv(self.folder / "next")
        os.replace(self.folder / "next", self.folder / f"{order}.csv")
        self._rows = pl.concat([self._rows, rows])

    def truth(self) -> pl.DataFrame:
        return self._rows


@pytest.mark.timeout(0)
def test_rows_of_files_are_read_once(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points, seed = request.config.getoption("read_points"), request.config.getoption("--crash-seed")
    live = LiveFiles(tmp_path / "files")
    histogram = prove_exactly_once(live, points=points, seed=seed, folder=tmp_path / "reads")
    with capsys.disabled():
        print(f"\n{histogram.total()} kills, seed {seed}; {live.truth().height:,} rows, none lost, none doubled")
        print(histogram.text())

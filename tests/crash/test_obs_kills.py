"""Objects that keep coming while reads of them are killed: each object's rows are read once."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from obs import ObsClient

from aimass.core.object_storage.client import open_sdk
from aimass.core.object_storage.connection import ObsConnection
from tests.crash.ingest_kills import prove_exactly_once
from tests.services.seaweedfs import SeaweedFs, seaweedfs

pytestmark = [
    pytest.mark.crash,
    pytest.mark.slow,
    pytest.mark.integration("obs"),
    pytest.mark.xdist_group("obs-kills"),
]
ROWS = 25
BUCKET = "aimass-kills"


class LiveObjects:
    """A bucket into which Parquet objects are put; every third one sorts before those that are there.

    Written by Huawei's client, which has no threads of its own: reads are forked from this process.
    """

    key = "number"

    def __init__(self, server: SeaweedFs, folder: str) -> None:
        self.config: dict[str, Any] = {"source": {"type": "obs", "uri": f"obs://{BUCKET}/{folder}/*.parquet"}}
        self.connections: dict[str, Any] = {"aimass_obs": server.connection()}
        self._client: ObsClient = open_sdk(ObsConnection.model_validate(server.connection()))
        self._client.createBucket(BUCKET)
        self._folder = folder
        self._files = 0
        self._rows = pl.DataFrame(schema={"number": pl.Int64, "text": pl.String})

    def write(self) -> None:
        first = self._rows.height
        numbers = range(first, first + ROWS)
        rows = pl.DataFrame({"number": numbers, "text": [f"text {i}" for i in numbers]})
        order = 500_000 + self._files * (-1 if self._files % 3 == 2 else 1)
        buffer = io.BytesIO()
        rows.write_parquet(buffer)
        key = f"{self._folder}/{order}.parquet"
        # What got no answer may have arrived: the same object is put again until one comes.
        while self._put(key, buffer.getvalue()) >= 300:
            continue
        self._files += 1
        self._rows = pl.concat([self._rows, rows])

    def truth(self) -> pl.DataFrame:
        return self._rows

    def _put(self, key: str, data: bytes) -> int:
        try:
            return int(self._client.putContent(BUCKET, key, data).status)
        except OSError:
            return 599


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFs]:
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as running:
        yield running


@pytest.mark.timeout(0)
def test_rows_of_objects_are_read_once(
    server: SeaweedFs, request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points, seed = request.config.getoption("read_points"), request.config.getoption("--crash-seed")
    live = LiveObjects(server, f"seed-{seed}")
    histogram = prove_exactly_once(live, points=points, seed=seed, folder=tmp_path / "reads")
    with capsys.disabled():
        print(f"\n{histogram.total()} kills, seed {seed}; {live.truth().height:,} rows, none lost, none doubled")
        print(histogram.text())

"""Ingest of objects against what a user would write: obstore with many requests at once, and a loop of Huawei's client.

The store is SeaweedFS, started here; both sides read the same objects by the same keys, path style, without TLS, and
write Parquet in zstd. One large Parquet object, and many CSV objects of 64 KB. What Arrow alone needs for the large one
is told, too: where a goal asks for less, no ingest reaches it.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import obstore
import polars as pl
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from obs import ObsClient
from obstore.store import S3Store

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps, Runtime
from aimass.core.stages import ingest
from aimass.core.stages.ingest import IngestConfig
from benchmarks.figures import Figure, conclude
from benchmarks.floor import floor_s
from tests.services.seaweedfs import ADMIN, SeaweedFs, seaweedfs

BUCKET = "aimass-bench"
RANGE_BYTES = 16 << 20
AT_ONCE = 16
ROWS_OF_64_KB = 950
PATTERNS = {"large": "large/x.parquet", "small": "small/*.csv"}
GOALS = {"obstore": 0.9, "esdk-obs-python": 3.0}
Read = Callable[[Path], None]


def rows(count: int, first: int = 0) -> pl.DataFrame:
    """Return `count` rows of six types, the same for the same numbers."""
    draw = np.random.default_rng(first)
    numbers = np.arange(first, first + count)
    return pl.DataFrame(
        {
            "id": numbers,
            "value": draw.normal(size=count),
            "group": draw.integers(0, 1_000, count),
            "at": pl.Series(numbers * 1_000_000).cast(pl.Datetime("us")),
            "name": [f"name {number % 5_000}" for number in numbers],
            "ok": draw.integers(0, 2, count).astype(bool),
        }
    )


def fill(store: S3Store, path: Path, large_bytes: int, small_files: int) -> None:
    """Put the objects; the large one stays at `path`, too."""
    writer, first = None, 0
    while writer is None or path.stat().st_size < large_bytes:
        table = rows(500_000, first).to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=100_000)
        first += 500_000
    assert writer is not None
    writer.close()
    obstore.put(store, "large/x.parquet", path)

    def put(number: int) -> None:
        data = rows(ROWS_OF_64_KB, number * ROWS_OF_64_KB).write_csv().encode()
        obstore.put(store, f"small/{number:05d}.csv", data)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(put, range(small_files)))


@contextmanager
def written(path: Path) -> Iterator[Callable[[pa.Table], None]]:
    """Yield what appends a table to a Parquet file."""
    writer: pq.ParquetWriter | None = None

    def append(table: pa.Table) -> None:
        nonlocal writer
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)

    yield append
    if writer is not None:
        writer.close()


class Obstore:
    """obstore with many requests at once: ranges by threads, small objects by asyncio and gather.

    Ranges by asyncio take ten times as long as by threads here (2.2 s instead of 0.23 s for 100 MB).
    """

    def __init__(self, server: SeaweedFs) -> None:
        self.store = S3Store(
            BUCKET,
            endpoint=server.endpoint,
            access_key_id=ADMIN[0],
            secret_access_key=ADMIN[1],
            region="us-east-1",
            client_options={"allow_http": True},
        )

    def large(self, path: Path) -> None:
        """Fetch ranges at once, decode, write."""
        data = self._ranges("large/x.parquet")
        with written(path) as append:
            for batch in pq.ParquetFile(pa.BufferReader(data)).iter_batches(batch_size=1 << 20):
                append(pa.Table.from_batches([batch]))

    def small(self, path: Path) -> None:
        """Fetch objects at once, parse and write each chunk of them."""
        keys = [item["path"] for page in obstore.list(self.store, "small") for item in page]
        with written(path) as append:
            for start in range(0, len(keys), 256):
                found = asyncio.run(self._objects(keys[start : start + 256]))
                append(pa.concat_tables([csv.read_csv(pa.BufferReader(data)) for data in found]))

    def _ranges(self, key: str) -> bytes:
        size = obstore.head(self.store, key)["size"]

        def fetch(start: int) -> obstore.Bytes:
            return obstore.get_range(self.store, key, start=start, end=min(start + RANGE_BYTES, size))

        with ThreadPoolExecutor(AT_ONCE) as threads:
            return b"".join(threads.map(fetch, range(0, size, RANGE_BYTES)))

    async def _objects(self, keys: list[str]) -> list[bytes]:
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(key: str) -> bytes:
            async with limit:
                return bytes(await (await obstore.get_async(self.store, key)).bytes_async())

        return await asyncio.gather(*(one(key) for key in keys))


class HuaweiLoop:
    """Huawei's client as its pages show it: list by marker, get one object after the other."""

    def __init__(self, server: SeaweedFs) -> None:
        self.client = ObsClient(*ADMIN, server=server.endpoint, path_style=True, signature="v4", region="us-east-1")

    def large(self, path: Path) -> None:
        """Get the object, decode, write."""
        data = self._get("large/x.parquet")
        with written(path) as append:
            for batch in pq.ParquetFile(pa.BufferReader(data)).iter_batches(batch_size=1 << 20):
                append(pa.Table.from_batches([batch]))

    def small(self, path: Path) -> None:
        """Get, parse and write each object."""
        marker, more = None, True
        with written(path) as append:
            while more:
                page = self.client.listObjects(BUCKET, prefix="small/", marker=marker).body
                for item in page.contents:
                    append(csv.read_csv(io.BytesIO(self._get(item.key))))
                marker, more = page.next_marker, page.is_truncated

    def _get(self, key: str) -> bytes:
        answer = self.client.getObject(BUCKET, key, loadStreamInMemory=True)
        assert answer.status < 300, answer
        return bytes(answer.body.buffer)


def ours(server: SeaweedFs, pattern: str, folder: Path) -> tuple[float, str]:
    """Ingest; return the seconds and the digest of the rows."""
    with tempfile.TemporaryDirectory(dir=folder) as store:
        deps = Deps.from_runtime(Runtime(store=store, connections={"aimass_obs": server.connection()}))  # type: ignore[arg-type]
        config = IngestConfig(name="rows", source={"type": "obs", "uri": f"obs://{BUCKET}/{pattern}"})
        begin = time.perf_counter()
        result = ingest.run(config, deps)
        seconds = time.perf_counter() - begin
        return seconds, digest(open_dataset(result.uri, deps).scan())


def theirs(read: Read, folder: Path) -> tuple[float, str]:
    """Read by a peer; return the seconds and the digest of the rows."""
    path = folder / "peer.parquet"
    begin = time.perf_counter()
    read(path)
    seconds = time.perf_counter() - begin
    found = digest(pl.scan_parquet(path))
    path.unlink()
    return seconds, found


def digest(frame: pl.LazyFrame) -> str:
    """Return what two tables with the same rows in the same order have in common."""
    sums = frame.select(
        pl.len(),
        pl.col("id", "group").sum(),
        pl.col("value").sum().round(6),
        at=pl.col("at").cast(pl.Datetime("us")).dt.timestamp("ms").sum(),
        name=pl.col("name").hash().sum(),
        ok=pl.col("ok").sum(),
    )
    return str(sums.collect(engine="streaming").row(0))


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest_obs", description=__doc__)
    parser.add_argument("--long", action="store_true", help="1 GB and 10,000 objects instead of 100 MB and 1,000")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs, one beside the other")
    parser.add_argument("--only", choices=PATTERNS, help="one large object, or many small ones alone")
    options = parser.parse_args()
    kinds = [options.only] if options.only else list(PATTERNS)
    large, small = (1 << 30, 10_000) if options.long else (100 << 20, 1_000)
    figures = []
    with tempfile.TemporaryDirectory(prefix="aimass-bench-") as name, seaweedfs(Path(name) / "server") as server:
        file = Path(name) / "x.parquet"
        fill(server.bucket(BUCKET), file, large if "large" in kinds else 1, small if "small" in kinds else 0)
        for peer_name, peer in (("obstore", Obstore(server)), ("esdk-obs-python", HuaweiLoop(server))):
            for what in kinds:
                pairs = [
                    (ours(server, PATTERNS[what], Path(name)), theirs(getattr(peer, what), Path(name)))
                    for _ in range(options.pairs)
                ]
                assert len({found for pair in pairs for _, found in pair}) == 1, "the rows differ"
                figures.append(_figure(f"{what} objects against {peer_name}", pairs, GOALS[peer_name]))
                print(f"{figures[-1].name}: " + ", ".join(f"{us:.2f} / {peer:.2f} s" for (us, _), (peer, _) in pairs))
        if "large" in kinds:
            floors = [floor_s(file, Path(name)) for _ in range(options.pairs)]
            print("large, decoded and encoded alone from memory: " + ", ".join(f"{each:.2f} s" for each in floors))
    return conclude("ingest_obs", figures)


def _figure(name: str, pairs: list[tuple[tuple[float, str], tuple[float, str]]], goal: float) -> Figure:
    mine, peer = ([1 / pair[side][0] for pair in pairs] for side in (0, 1))
    median = statistics.median(mine)
    return Figure(
        name,
        median,
        "reads/s",
        peer=statistics.median(peer),
        spread=(max(mine) - min(mine)) / median,
        goal=goal,
        judged_by_ratio=True,
        more_is_better=True,
    )


if __name__ == "__main__":
    sys.exit(main())

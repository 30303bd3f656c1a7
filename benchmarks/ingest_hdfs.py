"""HDFS into zstd Parquet: the stage ingest beside what one writes by hand with hdfs-native, and with fsspec's WebHDFS.

Both peers open the file by fsspec, as their documentations do, hand it to pyarrow's reader and write with its writer:
no digests, no manifest, no way to go on after a crash. Every side runs in a process of its own, which is timed without
its imports; the rows that it wrote are compared with ours. What Arrow alone needs for the same file is told, too.
"""

from __future__ import annotations

import argparse
import getpass
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from hdfs_native import WriteOptions

from benchmarks.child import own_peak_mb
from benchmarks.figures import Figure, conclude
from benchmarks.floor import floor_s

SIZE_MB, LONG_MB = 200, 1_000
KINDS = ("parquet", "csv")
SIDES = ("ours", "native", "web")
GOALS = {"native": 0.9, "web": 2.0}
NAMES = {"native": "hdfs-native", "web": "fsspec's WebHDFS"}
CHUNK_ROWS = 200_000


def main() -> int:
    """Measure and judge, or be one side of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest_hdfs", description=__doc__)
    parser.add_argument("--long", action="store_true", help="1 GB of each format instead of 200 MB")
    parser.add_argument("--runs", type=int, default=5, help="runs of each side, one beside the other")
    parser.add_argument("--only", choices=KINDS, help="this format alone")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(_timed(json.loads(given.side))))
        return 0
    from tests.services.hadoop import hdfs_server

    with tempfile.TemporaryDirectory(prefix="aimass-hdfs-") as name, hdfs_server(Path(name)) as server:
        figures = []
        for kind in [given.only] if given.only else KINDS:
            size = _put(server, f"/bench/rows.{kind}", kind, (LONG_MB if given.long else SIZE_MB) * 1_000_000)
            figures += _compare(server, kind, Path(name), size, given.runs)
    return conclude("ingest_hdfs", figures)


def _compare(server: Any, kind: str, folder: Path, size: int, runs: int) -> list[Figure]:
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for number, side in itertools.product(range(runs), SIDES):
        request = {
            "side": side,
            "path": f"/bench/rows.{kind}",
            "folder": str(folder / f"{kind}-{side}-{number}"),
            "host": server.host,
            "port": server.http_port if side == "web" else server.port,
        }
        command = [sys.executable, "-m", "benchmarks.ingest_hdfs", "--side", json.dumps(request)]
        found[side].append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        shutil.rmtree(request["folder"])
    digests = {tuple(run["digest"]) for all_of_side in found.values() for run in all_of_side}
    assert len(digests) == 1, f"the sides wrote different rows: {digests}"
    ((rows, _),) = digests
    seconds = {side: [run["seconds"] for run in all_of_side] for side, all_of_side in found.items()}
    peak_mb = max(run["peak_mb"] for run in found["ours"])
    print(f"{kind}: {size / 1e6:,.0f} MB, {rows:,} rows; ours needs {peak_mb:,.0f} MB of memory")
    print("  " + ", ".join(f"{side} {statistics.median(each):.2f} s" for side, each in seconds.items()))
    with server.client.read(f"/bench/rows.{kind}") as file:
        (folder / f"rows.{kind}").write_bytes(file.read())
    floors = [floor_s(folder / f"rows.{kind}", folder) for _ in range(runs)]
    print(f"  decoded and encoded alone from memory {statistics.median(floors):.2f} s", flush=True)
    ours = [rows / each / 1e6 for each in seconds["ours"]]
    spread = (max(ours) - min(ours)) / statistics.median(ours)
    return [
        Figure(
            f"{kind}, beside {NAMES[peer]}",
            statistics.median(ours),
            "M rows/s",
            peer=statistics.median(rows / each / 1e6 for each in seconds[peer]),
            spread=spread,
            goal=goal,
            judged_by_ratio=True,
            more_is_better=True,
        )
        for peer, goal in GOALS.items()
    ]


def _put(server: Any, path: str, kind: str, size: int) -> int:
    """Write a file of about `size` bytes, a chunk of rows after the other; return how many it has."""
    with server.client.create(path, WriteOptions(overwrite=True, create_parent=True)) as file:
        sink = pa.PythonFile(file, "w")
        writer: Any = None
        for number in itertools.count():
            table = _chunk(number)
            if writer is None:
                writer = (pq.ParquetWriter if kind == "parquet" else pa.csv.CSVWriter)(sink, table.schema)
            writer.write_table(table)
            if sink.tell() >= size:
                break
        writer.close()
    return int(server.client.get_file_info(path).length)


def _chunk(number: int) -> pa.Table:
    """Return rows of ten columns: keys, measures, codes, words, a flag, a day and a moment; some are missing."""
    index = pl.Series("id", range(number * CHUNK_ROWS, (number + 1) * CHUNK_ROWS))
    noise = [index.hash(seed) for seed in range(6)]
    words = pl.Series(["north", "south", "east", "west", "up", "down", None])
    frame = pl.DataFrame(
        {
            "id": index,
            "customer": (noise[0] % 900_000).cast(pl.Int64),
            "amount": (noise[1] % 10_000_000) / 100,
            "share": (noise[2] // 2048) / 2**53,
            "count": (noise[3] % 50).cast(pl.Int64),
            "place": words.gather((noise[4] % 7).cast(pl.UInt32)),
            "code": "K-" + (noise[5] % 100_000).cast(pl.String).str.zfill(5),
            "is_new": noise[0] % 3 == 0,
            "day": (noise[1] % 4_000).cast(pl.Int32).cast(pl.Date),
            "moment": ((1_700_000_000 + noise[2] % 30_000_000) * 1_000_000).cast(pl.Int64).cast(pl.Datetime("us")),
        }
    )
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _timed(request: dict[str, Any]) -> dict[str, Any]:
    """Run one side; return its seconds, its peak of memory in MB, and what it wrote."""
    run = _ours(request) if request["side"] == "ours" else _peer(request)
    begin = time.perf_counter()
    files = run()
    seconds = time.perf_counter() - begin
    peak_mb = own_peak_mb()
    return {"seconds": seconds, "peak_mb": peak_mb, "digest": _digest(files)}


def _ours(request: dict[str, Any]) -> Callable[[], str]:
    from aimass.core.deps import Deps, Runtime
    from aimass.core.sources.hdfs import rpc  # noqa: F401 - imported before the time is taken, as the peers' are
    from aimass.core.stages.ingest import STAGE

    connection: Any = {"host": request["host"], "port": request["port"]}
    deps = Deps.from_runtime(Runtime(store=request["folder"], connections={"aimass_hdfs": connection}))
    config = STAGE.parse({"name": "rows", "source": {"type": "hdfs", "path": request["path"]}})
    return lambda: f"{STAGE.run(config, deps).uri.removeprefix('file://')}/*.parquet"


def _peer(request: dict[str, Any]) -> Callable[[], str]:
    import fsspec

    options = {"user": getpass.getuser()} if request["side"] == "web" else {}
    scheme = "webhdfs" if request["side"] == "web" else "hdfs"
    files = fsspec.filesystem(scheme, host=request["host"], port=request["port"], **options)
    target = Path(request["folder"])
    target.mkdir()

    def run() -> str:
        with files.open(request["path"]) as file:
            if request["path"].endswith(".parquet"):
                source = pq.ParquetFile(file)
                schema, batches = source.schema_arrow, source.iter_batches()
            else:
                # As ours does: what is empty is missing, also where a column is text.
                batches = pa.csv.open_csv(file, convert_options=pa.csv.ConvertOptions(strings_can_be_null=True))
                schema = batches.schema
            with pq.ParquetWriter(target / "rows.parquet", schema, compression="zstd") as writer:
                for batch in batches:
                    writer.write_batch(batch)
        return str(target / "*.parquet")

    return run


def _digest(files: str) -> list[int]:
    """Return the number of rows and a sum over their hashes, which no order changes."""
    moments = pl.col("moment").cast(pl.Datetime("us"))
    hashes = pl.struct(pl.all().exclude("moment"), moments).hash(1)
    # The upper 40 bits, so that their sum has room in 64.
    rows = pl.scan_parquet(files).select(pl.len(), hashes.floordiv(1 << 24).sum()).collect()
    return [int(value) for value in rows.row(0)]


if __name__ == "__main__":
    sys.exit(main())

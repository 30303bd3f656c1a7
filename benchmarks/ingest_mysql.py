"""From MySQL to Parquet: the stage `ingest` against connectorx and against pandas, over the same server and rows.

Each side is a process of its own, which writes zstd Parquet; imports count for nobody. The rows are compared.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import polars as pl

from benchmarks.child import run_child
from benchmarks.figures import Figure, conclude
from tests.services.mariadb import MariaDb, mariadb_server

ROWS, LONG_ROWS = 1_000_000, 10_000_000
TABLE = """CREATE TABLE mixed (id BIGINT PRIMARY KEY, customer INT NOT NULL, flag TINYINT NOT NULL,
amount DECIMAL(12, 2) NOT NULL, score DOUBLE, ratio FLOAT, day DATE NOT NULL, at DATETIME(6) NOT NULL,
name VARCHAR(40) NOT NULL, note VARCHAR(80))"""
FILL = """INSERT INTO mixed SELECT seq, MOD(seq * 7919, 100003), MOD(seq, 3), MOD(seq * 31, 1000000) / 100,
IF(MOD(seq, 11) = 0, NULL, SQRT(seq)), seq / 7, DATE'2020-01-01' + INTERVAL MOD(seq, 2000) DAY,
TIMESTAMP'2024-01-01 00:00:00' + INTERVAL seq * 1001 MICROSECOND, CONCAT('name ', MOD(seq * 13, 50000)),
IF(MOD(seq, 5) = 0, NULL, MD5(seq)) FROM seq_{first}_to_{last}"""

OURS = """
import json, sys, time
from aimass.core.deps import Deps, Runtime
from aimass.core.stages.ingest import IngestConfig, run
import connectorx, pyarrow.parquet
from aimass.core.sources.mysql import source
folder, document = sys.argv[1], json.loads(sys.argv[2])
begin = time.perf_counter()
config = IngestConfig(name="mixed", source={"type": "mysql", "table": "mixed"})
result = run(config, Deps.from_runtime(Runtime(store=folder, connections={"aimass_mysql": document})))
print(json.dumps({"seconds": time.perf_counter() - begin, "folder": result.uri.removeprefix("file://")}))
"""
CONNECTORX = """
import json, sys, time
import connectorx, pyarrow.parquet as pq
from aimass.core.sources.mysql.connection import MySqlConnection
folder, url = sys.argv[1], MySqlConnection.model_validate(json.loads(sys.argv[2])).url()
begin = time.perf_counter()
rows = connectorx.read_sql(url, "SELECT * FROM mixed", return_type="arrow", partition_on="id", partition_num=2)
pq.write_table(rows, f"{folder}/all.parquet", compression="zstd")
print(json.dumps({"seconds": time.perf_counter() - begin, "folder": folder}))
"""
PANDAS = """
import json, sys, time
import mysql.connector, pandas, pyarrow as pa, pyarrow.parquet as pq
from sqlalchemy import URL, create_engine
folder, d = sys.argv[1], json.loads(sys.argv[2])
url = URL.create("mysql+mysqlconnector", d["user"], d["password"], d["host"], d["port"], d["database"])
# As text, a FLOAT has six digits.
query = "SELECT id, customer, flag, amount, score, (ratio + 0e0) AS ratio, day, at, name, note FROM mixed"
begin = time.perf_counter()
writer = None
with create_engine(url).connect().execution_options(stream_results=True) as connection:
    for frame in pandas.read_sql(query, connection, chunksize=50_000):
        rows = pa.Table.from_pandas(frame, preserve_index=False)
        writer = writer or pq.ParquetWriter(f"{folder}/all.parquet", rows.schema, compression="zstd")
        writer.write_table(rows.cast(writer.schema))
writer.close()
print(json.dumps({"seconds": time.perf_counter() - begin, "folder": folder}))
"""


def measure(code: str, server: MariaDb, home: Path) -> tuple[float, float, str]:
    """Run one side in a process of its own; return seconds, peak memory in MB, and the rows' digest."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        command = [sys.executable, "-W", "ignore", "-c", code, folder, json.dumps(server.connection())]
        said, peak_mb = run_child(command, what="one side")
        found = json.loads(said.splitlines()[-1])
        return found["seconds"], peak_mb, digest(Path(found["folder"]))


def digest(folder: Path) -> str:
    """Return a digest of all values of all rows, in whatever order they are, in types that both sides' become."""
    rows = pl.scan_parquet(folder / "*.parquet").select(
        pl.col("id", "customer", "flag").cast(pl.Int64),
        pl.col("amount").cast(pl.Float64).mul(100).round().cast(pl.Int64),
        pl.col("score").cast(pl.Float64),
        pl.col("ratio").cast(pl.Float32),
        pl.col("day").cast(pl.Date),
        pl.col("at").cast(pl.Datetime("us")),
        pl.col("name", "note").cast(pl.String),
    )
    # A sum of the rows' hashes, of which each covers all its columns, is the same in any order.
    row = pl.concat_str(pl.all().cast(pl.String).fill_null("\x00"), separator="\x1f").hash(seed=1)
    sums = rows.select(pl.len(), (row // 2**32).sum().alias("high"), (row % 2**32).sum().alias("low"))
    return str(sums.collect(engine="streaming").row(0))


def rates(rows: int, server: MariaDb, home: Path, *, repetitions: int, with_pandas: bool) -> list[Figure]:
    """Fill the table and measure the sides by turns."""
    server.run("DROP TABLE IF EXISTS mixed", TABLE)
    for first in range(1, rows + 1, ROWS):
        server.run(FILL.format(first=first, last=first + ROWS - 1))
    sides = {"ours": OURS, "connectorx": CONNECTORX} | ({"pandas": PANDAS} if with_pandas else {})
    runs: dict[str, list[tuple[float, float, str]]] = {name: [] for name in sides}
    for _ in range(repetitions):
        for name, code in sides.items():
            # pandas takes some twenty times as long; once is enough to tell.
            if name != "pandas" or not runs[name]:
                runs[name].append(measure(code, server, home))
    assert len({seen for of_side in runs.values() for _, _, seen in of_side}) == 1, "the sides' rows differ"
    best = {name: rows / min(seconds for seconds, _, _ in of_side) for name, of_side in runs.items()}
    for name, of_side in runs.items():
        print(
            f"{rows:>10,} rows, {name:<10} {best[name]:>10,.0f} rows/s, {max(peak for _, peak, _ in of_side):,.0f} MB"
        )
    goals = {"connectorx": 0.8, "pandas": 8.0}
    found = [
        Figure(f"{rows:,} rows against {peer}", best["ours"], "rows/s", best[peer], 0.0, goal, True, True)
        for peer, goal in goals.items()
        if peer in best
    ]
    peak = max(peak for _, peak, _ in runs["ours"])
    return [*found, Figure(f"{rows:,} rows, peak memory", peak, "MB", goal=300)]


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest_mysql", description=__doc__)
    parser.add_argument("--long", action="store_true", help="10 million rows as well")
    is_long = parser.parse_args().long
    with tempfile.TemporaryDirectory(prefix="aimass-mysql-") as name:
        home = Path(name)
        with mariadb_server(home / "server") as server:
            figures = rates(ROWS, server, home, repetitions=5 if is_long else 3, with_pandas=True)
            if is_long:
                figures += rates(LONG_ROWS, server, home, repetitions=2, with_pandas=False)
    return conclude("ingest_mysql", figures)


if __name__ == "__main__":
    sys.exit(main())

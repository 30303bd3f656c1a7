"""Nested documents from MongoDB to Parquet: the stage `ingest` against pymongoarrow's `find_arrow_all`.

The stand-in server is so slow that both wait for it; so the codec alone is measured, too: BSON in memory to Arrow.
The peer is also measured with batches of the size that ours asks for.
The peer fetches everything and then flattens and writes the same columns, zstd. Each side of the first figure runs in a
process of its own, whose peak memory is measured with a quarter of the documents and with all.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import bson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from bson import Int64, ObjectId

from benchmarks.child import run_child
from benchmarks.figures import Figure, figure

DOCUMENTS, CODEC_DOCUMENTS = 20_000, 500_000
PAIRS = 5
SIDES = ("ours", "peer", "peer, our batches")
GOAL = 0.9
GOAL_RSS = 1.3
CHUNK = 10_000
COLUMNS = ["_id", "n", "price", "name", "at", "ok", "address.city", "address.zip", "address.geo.lat", "tags", "big"]


def documents(count: int) -> list[dict[str, Any]]:
    """Return nested documents."""
    draw = random.Random(1)
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    return [
        {
            "_id": ObjectId(bytes.fromhex("66000000") + i.to_bytes(8, "big")),
            "n": i,
            "price": draw.random() * 100,
            "name": f"customer {draw.randrange(10**6)}",
            "at": begin + timedelta(seconds=i),
            "ok": i % 3 == 0,
            "address": {"city": draw.choice(["Shenzhen", "München", "Lagos"]), "zip": str(i), "geo": {"lat": i / 7}},
            "tags": ["a", "bc", "def"][: i % 4],
            "big": Int64(i * 10**10),
        }
        for i in range(count)
    ]


def peer_schema() -> Any:
    """Return the documents' schema for pymongoarrow."""
    from pymongoarrow.api import Schema
    from pymongoarrow.types import ObjectIdType

    place = pa.struct([("city", pa.string()), ("zip", pa.string()), ("geo", pa.struct([("lat", pa.float64())]))])
    fields = {"_id": ObjectIdType(), "n": pa.int64(), "price": pa.float64(), "name": pa.string()}
    fields |= {"at": pa.timestamp("ms"), "ok": pa.bool_(), "address": place}
    return Schema(fields | {"tags": pa.list_(pa.string()), "big": pa.int64()})


def flattened(table: pa.Table) -> pa.Table:
    """Return the peer's table with the columns that ours has."""
    address = table["address"].combine_chunks()
    found = {name: table[name] for name in table.column_names if name != "address"}
    found["_id"] = pa.array([value.hex() for value in table["_id"].combine_chunks().storage.to_pylist()])
    found["at"] = pc.cast(table["at"], pa.timestamp("us", "UTC"))
    found |= {f"address.{name}": pc.struct_field(address, name) for name in ("city", "zip")}
    found["address.geo.lat"] = pc.struct_field(address, ["geo", "lat"])
    return pa.table({name: found[name] for name in COLUMNS})


def read_ours(connection: dict[str, Any], count: int, folder: str) -> list[str]:
    """Ingest; return the Parquet files."""
    from aimass.core.datasets import open_dataset
    from aimass.core.deps import Deps, Runtime
    from aimass.core.stages import ingest
    from aimass.core.stages.ingest import IngestConfig

    deps = Deps.from_runtime(Runtime(store=folder, connections={"aimass_mongodb": connection}))
    source = {"type": "mongodb", "collection": f"bench_{count}", "arrays": "list"}
    result = ingest.run(IngestConfig(name="bench", source=source), deps)
    assert result.rows == count
    return [
        f"{result.uri}/{part.name}".removeprefix("file://") for part in open_dataset(result.uri, deps).manifest.parts
    ]


def read_peer(connection: dict[str, Any], count: int, folder: str, **options: Any) -> list[str]:
    """Do what pymongoarrow's documentation does, and write the file; the query gets `options`."""
    from pymongo import MongoClient
    from pymongoarrow.api import find_arrow_all

    login = {"username": connection["user"], "password": connection["password"]}
    with MongoClient(connection["host"], connection["port"], **login) as client:
        collection = client[connection["database"]][f"bench_{count}"]
        table = find_arrow_all(collection, {}, schema=peer_schema(), **options)
    pq.write_table(flattened(table), f"{folder}/bench.parquet", compression="zstd")
    return [f"{folder}/bench.parquet"]


def child(request: dict[str, Any]) -> None:
    """Read in this process; print how long it took and a digest of the rows."""
    warnings.simplefilter("ignore")
    read = {"ours": read_ours, "peer": read_peer, "peer, our batches": partial(read_peer, batch_size=CHUNK)}[
        request["side"]
    ]
    began = time.perf_counter()
    files = read(request["connection"], request["count"], request["folder"])
    seconds = time.perf_counter() - began
    # Polars would add to the peak that is measured, so its part comes from another process.
    print(json.dumps({"seconds": seconds, "files": files}))


def run(side: str, connection: dict[str, Any], count: int) -> tuple[float, float, int]:
    """Return seconds, peak resident memory in MB and the rows' digest of one side."""
    with tempfile.TemporaryDirectory(prefix="aimass-bench-") as folder:
        request = json.dumps({"side": side, "connection": connection, "count": count, "folder": folder})
        command = [sys.executable, "-m", "benchmarks.ingest_mongodb", "--child", request]
        output, peak_mb = run_child(command, what=side)
        told = json.loads(output.splitlines()[-1])
        rows = pl.read_parquet(told["files"]).select(COLUMNS).with_columns(pl.col("tags").list.join("|"))
        digest = int(rows.hash_rows(seed=1).sum())
    return float(told["seconds"]), peak_mb, digest


def codec(count: int) -> Figure:
    """Compare BSON in memory to Arrow, in batches of the default size; the peer takes the same batches."""
    from pymongoarrow.context import PyMongoArrowContext

    from aimass.core.sources.mongodb.batches import BatchDecoder, RawDocuments
    from aimass.core.sources.mongodb.columns import Plan, infer
    from aimass.core.sources.mongodb.decoding import decode_document

    made = [bson.encode(document) for document in documents(min(count, 50_000))]
    pieces = [b"".join(made[start : start + CHUNK]) for start in range(0, len(made), CHUNK)]
    pieces *= count // len(made)
    sample = map(decode_document, made[:1_000])
    plan = Plan(tuple(infer(sample, max_depth=3, arrays="list", where="the benchmark")), "reject")
    decoder = BatchDecoder(plan, plan.schema)
    schema = peer_schema()

    def ours() -> float:
        began = time.perf_counter()
        for piece in pieces:
            decoder.decode(RawDocuments(piece))
        return time.perf_counter() - began

    def peer() -> float:
        began = time.perf_counter()
        for piece in pieces:
            context = PyMongoArrowContext(schema)
            context.process_bson_stream(piece)
            context.finish()
        return time.perf_counter() - began

    context = PyMongoArrowContext(schema)
    context.process_bson_stream(pieces[0])
    rows, rejects = decoder.decode(RawDocuments(pieces[0]))
    assert rejects is None
    assert rows.select(COLUMNS).to_pylist() == flattened(context.finish()).to_pylist()
    pairs = [(ours(), peer()) for _ in range(3)]
    return _rate(f"decode {count:,} documents in memory", count, [a for a, _ in pairs], [b for _, b in pairs])


def _rate(name: str, count: int, ours: list[float], peer: list[float]) -> Figure:
    made = figure(name, [count / each / 1e3 for each in ours], "k/s", peer=[count / each / 1e3 for each in peer])
    return Figure(made.name, made.ours, made.unit, made.peer, made.spread, GOAL, True, True)


def main() -> int:
    """Measure and judge."""
    from benchmarks.figures import conclude
    from tests.services.mongodb import mongodb_server

    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest_mongodb", description=__doc__)
    parser.add_argument("--long", action="store_true", help="10 times the documents in memory")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(json.loads(arguments.child))
        return 0
    warnings.simplefilter("ignore")
    quarter = DOCUMENTS // 4
    with tempfile.TemporaryDirectory(prefix="aimass-bench-") as folder, mongodb_server(Path(folder)) as server:
        with server.admin() as client:
            for count in (quarter, DOCUMENTS):
                client[server.database][f"bench_{count}"].insert_many(documents(count))
        connection = server.connection()
        _, small, _ = run("ours", connection, quarter)
        found: dict[str, list[tuple[float, float, int]]] = {side: [] for side in SIDES}
        for _ in range(PAIRS):
            for side in SIDES:
                found[side].append(run(side, connection, DOCUMENTS))
        assert len({digest for runs in found.values() for _, _, digest in runs}) == 1, "the rows differ"
    large = max(peak for _, peak, _ in found["ours"])
    seconds = {side: [took for took, _, _ in runs] for side, runs in found.items()}
    figures = [
        _rate(f"ingest {DOCUMENTS:,} documents", DOCUMENTS, seconds["ours"], seconds["peer"]),
        replace(
            _rate(f"… the peer in batches of {CHUNK:,}, too", DOCUMENTS, seconds["ours"], seconds["peer, our batches"]),
            goal=None,
        ),
        codec(CODEC_DOCUMENTS * (10 if arguments.long else 1)),
        Figure(f"peak memory, against {quarter:,} (peer)", large, "MB", small, goal=GOAL_RSS, judged_by_ratio=True),
    ]
    return conclude("ingest_mongodb", figures)


if __name__ == "__main__":
    sys.exit(main())

"""Kafka into zstd Parquet: the stage ingest, exactly once, beside a loop written by hand with confluent-kafka.

The peer is the loop of confluent-kafka's documentation: subscribe to nothing, assign, `consume` in large batches,
pyarrow's JSON reader, pyarrow's Parquet writer; no digests, no manifest, no way to go on after a crash. Every side runs
in a process of its own, which is timed without its imports; both must have written the same rows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
from confluent_kafka import Consumer, TopicPartition

from benchmarks.child import own_peak_mb
from benchmarks.figures import Figure, conclude

MESSAGES, LONG_MESSAGES, REPEATS = 500_000, 2_000_000, 2
PARTITIONS = 4
TOPIC = "bench"
GOAL = 0.8
SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "user": pa.large_string(),
        "amount": pa.float64(),
        "ok": pa.bool_(),
        "city": pa.large_string(),
        "note": pa.large_string(),
    }
)


def main() -> int:
    """Measure and judge, or be one side of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest_kafka", description=__doc__)
    parser.add_argument("--long", action="store_true", help="2 million messages instead of 500 thousand")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(_timed(json.loads(given.side))))
        return 0
    from tests.services.kafka import kafka_server

    count = LONG_MESSAGES if given.long else MESSAGES
    with tempfile.TemporaryDirectory(prefix="aimass-kafka-") as name, kafka_server(Path(name)) as kafka:
        _fill(kafka, count)
        sides = ["confluent", "peer"] * REPEATS + ["kafka-python"]
        found: dict[str, list[dict[str, Any]]] = {}
        for number, side in enumerate(sides):
            request = {"side": side, "address": kafka.address, "folder": f"{name}/{number}"}
            found.setdefault(side, []).append(_run(request))
    digests = {each["digest"] for runs in found.values() for each in runs}
    assert len(digests) == 1, "the sides wrote different rows"
    return conclude("ingest_kafka", _figures(found, count))


def _figures(found: dict[str, list[dict[str, Any]]], count: int) -> list[Figure]:
    rates = {side: [count / run["seconds"] for run in runs] for side, runs in found.items()}
    peer, ours = statistics.median(rates["peer"]), statistics.median(rates["confluent"])
    spread = (max(rates["confluent"]) - min(rates["confluent"])) / ours
    judged = {"goal": GOAL, "judged_by_ratio": True, "more_is_better": True}
    return [
        Figure("exactly once, confluent-kafka", ours, "rows/s", peer, spread, **judged),  # type: ignore[arg-type]
        Figure("exactly once, kafka-python", rates["kafka-python"][0], "rows/s", peer),
        Figure("peak memory", max(run["peak_mb"] for run in found["confluent"]), "MB", found["peer"][0]["peak_mb"]),
    ]


def _fill(kafka: Any, count: int) -> None:
    kafka.create(TOPIC, PARTITIONS)
    producer = kafka.producer(queue_buffering_max_messages=200_000)
    for number in range(count):
        record = {"id": number, "user": f"user {number % 9973}", "amount": number / 7, "ok": number % 3 == 0}
        record |= {"city": ("Berlin", "北京", "Lagos")[number % 3], "note": "x" * 90}
        while True:
            try:
                producer.produce(TOPIC, json.dumps(record).encode(), partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(1)
    assert producer.flush(120) == 0


def _run(request: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.ingest_kafka", "--side", json.dumps(request)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _timed(request: dict[str, Any]) -> dict[str, Any]:
    Path(request["folder"]).mkdir()
    read = _peer if request["side"] == "peer" else _ours
    seconds, written = read(request)
    # Before the rows are compared: that takes memory of its own.
    peak_mb = own_peak_mb()
    frame = pl.read_parquet(written)
    rows = frame.select(SCHEMA.names).sort("id").hash_rows()
    return {"seconds": seconds, "digest": int(rows.sum()), "rows": frame.height, "peak_mb": peak_mb}


def _ours(request: dict[str, Any]) -> tuple[float, str]:
    from aimass.core.deps import Deps, Runtime
    from aimass.core.stages.ingest import STAGE

    STAGE.preload()
    connections = {"aimass_kafka": {"bootstrap_servers": request["address"]}}
    deps = Deps.from_runtime(Runtime(store=request["folder"], connections=connections))
    source = {"type": "kafka", "topics": [TOPIC], "engine": request["side"]}
    config = STAGE.parse({"name": "bench", "source": source, "mode": "incremental"})
    begun = time.perf_counter()
    result = STAGE.run(config, deps)
    seconds = time.perf_counter() - begun
    return seconds, f"{result.uri.removeprefix('file://')}/*.parquet"


def _peer(request: dict[str, Any]) -> tuple[float, str]:
    target = f"{request['folder']}/rows.parquet"
    begun = time.perf_counter()
    consumer = Consumer({"bootstrap.servers": request["address"], "group.id": "peer", "enable.auto.commit": False})
    ends = {p: consumer.get_watermark_offsets(TopicPartition(TOPIC, p))[1] for p in range(PARTITIONS)}
    consumer.assign([TopicPartition(TOPIC, p, 0) for p in ends])
    options = pyarrow.json.ParseOptions(explicit_schema=SCHEMA)
    left = sum(ends.values())
    with pq.ParquetWriter(target, SCHEMA, compression="zstd") as writer:
        while left:
            values = [message.value() for message in consumer.consume(min(50_000, left), 1.0)]
            if values:
                left -= len(values)
                data = pa.BufferReader(b"\n".join(values))  # type: ignore[arg-type]
                writer.write_table(pyarrow.json.read_json(data, parse_options=options))
    consumer.close()
    return time.perf_counter() - begun, target


if __name__ == "__main__":
    sys.exit(main())

"""What happens to topics between reads: transactions, compaction, retention, new partitions, new topics, rebalances."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps, Runtime
from aimass.core.errors import DataError
from aimass.core.sources.kafka import messages
from aimass.core.stages import ingest
from aimass.core.stages.ingest import IngestConfig
from aimass.core.testing.sources import kept
from tests.integration.kafka.conftest import MARKS, Open, rejects_of, rows_of
from tests.integration.kafka.test_kafka_contract import spelled
from tests.services.kafka import Kafka

pytestmark = MARKS


@pytest.fixture
def writer(kafka: Kafka, topic: str) -> Producer:
    made = kafka.producer(transactional_id=topic)
    made.init_transactions(30)
    return made


def transact(writer: Producer, topic: str, numbers: Any, *, commits: bool) -> None:
    writer.begin_transaction()
    for number in numbers:
        writer.produce(topic, json.dumps({"n": number}).encode(), partition=0)
    # An abort throws away what was not sent yet.
    assert writer.flush(30) == 0
    writer.commit_transaction(30) if commits else writer.abort_transaction(30)


def numbers_of(source: Any, position: Any) -> list[int]:
    return list(rows_of(source, position)["n"].to_pylist())


def test_only_committed_messages_are_read(kafka: Kafka, topic: str, open_source: Open, writer: Producer) -> None:
    kafka.create(topic)
    transact(writer, topic, range(5), commits=True)
    transact(writer, topic, range(100, 105), commits=False)
    source = open_source()
    first = kept(source.position())
    # The end lies behind an abort: no message stands right before it, only gaps.
    assert first["topics"][topic]["partitions"]["0"] == [0, 12]
    assert numbers_of(source, first) == [0, 1, 2, 3, 4]
    assert source.position(first) is None
    writer.begin_transaction()
    writer.produce(topic, b'{"n": 5}', partition=0)
    assert writer.flush(10) == 0
    kafka.write(topic, spelled({"n": 6}))
    assert source.position(first) is None, "nothing passes an open transaction"
    writer.commit_transaction(30)
    second = kept(source.position(first))
    assert numbers_of(source, second) == [5, 6]
    assert numbers_of(open_source(isolation="read_uncommitted"), first) == [0, 1, 2, 3, 4, *range(100, 105)]


def test_only_aborted_messages_are_no_rows(kafka: Kafka, topic: str, open_source: Open, writer: Producer) -> None:
    kafka.create(topic)
    kafka.write(topic, spelled({"n": 1}))
    first = open_source().position()
    transact(writer, topic, range(5), commits=False)
    second = kept(open_source().position(first))
    assert numbers_of(open_source(), second) == []
    assert open_source().position(second) is None


def test_compaction_leaves_gaps(kafka: Kafka, topic: str, open_source: Open) -> None:
    compacting = {"cleanup_policy": "compact", "min_cleanable_dirty_ratio": "0.01", "segment_ms": "100"}
    kafka.create(topic, **compacting, max_compaction_lag_ms="100", delete_retention_ms="100")
    keys = [b"same"] * 50
    kafka.write(topic, spelled(*({"n": n} for n in range(50))), keys=keys)
    source = open_source()
    position = kept(source.position())
    deadline = time.monotonic() + 60
    while len(numbers_of(source, position)) >= 50:
        assert time.monotonic() < deadline, "the broker did not compact"
        # A segment is closed, and may be compacted, only when a later message comes.
        kafka.write(topic, spelled({"n": -1}), keys=[b"other"])
    left = numbers_of(source, position)
    assert 0 < len(left) < 50
    assert left == sorted(left)
    assert numbers_of(source, source.position(position))[-1:] == [-1]


def test_lost_messages_are_told(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic)
    kafka.write(topic, spelled(*({"n": n} for n in range(10))))
    first = open_source(max_messages=3).position()
    kafka.delete_before(topic, 6)
    source = open_source()
    second = kept(source.position(first))
    with pytest.raises(DataError, match="deleted before they were read"):
        rows_of(source, second)
    accepting = open_source(on_lost="accept")
    assert numbers_of(accepting, second) == [6, 7, 8, 9]
    assert rejects_of(accepting, second) == [(f"{topic}-0@3-5", "deleted before it was read")]
    with pytest.raises(DataError, match="deleted before they were read"):
        list(source._reader().read(messages.Span(topic, 0, 3, 10)))


def test_new_partitions_are_read_from_their_beginning(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic)
    kafka.write(topic, spelled({"n": 0}))
    first = kept(open_source(start="latest").position())
    assert open_source(start="latest").estimate(first) == 0
    kafka.add_partitions(topic, 3)
    kafka.write(topic, spelled({"n": 2}), partition=2)
    kafka.write(topic, spelled({"n": 1}), partition=0)
    second = kept(open_source(start="latest").position(first))
    assert numbers_of(open_source(), second) == [1, 2]


@pytest.mark.parametrize("count", [1, 20])
def test_a_recreated_topic_is_another_one(kafka: Kafka, topic: str, open_source: Open, count: int) -> None:
    """Also when it has more messages by now than were read of the old one."""
    kafka.create(topic)
    kafka.write(topic, spelled(*({"n": n} for n in range(10))))
    first = kept(open_source().position())
    kafka.delete(topic)
    kafka.create(topic)
    kafka.write(topic, spelled(*({"n": -n} for n in range(count))))
    with pytest.raises(DataError, match="a source that shrinks"):
        open_source().position(first)
    with pytest.raises(DataError, match="a source that shrinks"):
        rows_of(open_source(), first)
    second = kept(open_source(on_recreated="accept").position(first))
    assert numbers_of(open_source(), second) == [-n for n in range(count)]


def test_a_pattern_takes_new_topics_in_and_misses_old_ones(kafka: Kafka, topic: str, open_source: Open) -> None:
    pattern = {"topics": (), "pattern": f"{topic}-.*"}
    for name in ("a", "b"):
        kafka.write(kafka.create(f"{topic}-{name}"), spelled({"n": name}))
    first = kept(open_source(**pattern).position())
    assert numbers_of(open_source(**pattern), first) == ["a", "b"]
    kafka.write(kafka.create(f"{topic}-c"), spelled({"n": "c"}))
    second = kept(open_source(**pattern).position(first))
    assert numbers_of(open_source(**pattern), second) == ["c"]
    kafka.delete(f"{topic}-a")
    with pytest.raises(DataError, match="is gone"):
        open_source(**pattern).position(second)
    accepting = open_source(**pattern, on_recreated="accept")
    assert accepting.position(second) is None
    kafka.write(kafka.create(f"{topic}-a"), spelled({"n": "again"}))
    kafka.write(f"{topic}-b", spelled({"n": "more"}))
    third = kept(accepting.position(second))
    assert numbers_of(accepting, third) == ["again", "more"]


def test_inferred_columns_go_on(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic)
    kafka.write(topic, spelled({"n": 1, "f": 0.5, "t": "x"}))
    first = kept(open_source().position())
    kafka.write(topic, spelled({"n": 2, "f": 1, "t": None}))
    second = kept(open_source().position(first))
    assert second["columns"] == first["columns"]
    kafka.write(topic, spelled({"n": 2.5, "more": True}))
    third = open_source().position(second)
    assert third["columns"] == {"n": "double", "f": "double", "t": "string", "more": "boolean"}


def test_odd_values_do_not_end_the_reads(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    """A word among numbers is kept aside, a fraction accepted by the rule, and what follows is read."""
    kafka.create(topic)
    source = {"type": "kafka", "topics": [topic]}
    config = IngestConfig(name="t", source=source, mode="incremental", on_widened_type="accept")
    found = []
    for number, values in enumerate([[*range(200)], [*range(199), "abc"], [1.5], [7]]):
        kafka.write(topic, spelled(*({"n": value} for value in values)))
        run: dict[str, Any] = {"store": str(tmp_path / "store"), "run_id": f"run-{number}"}
        deps = Deps.from_runtime(Runtime(**run, connections={"aimass_kafka": kafka.connection()}))
        result = ingest.run(config, deps)
        found.append((result.rows, result.rejected))
    assert found == [(200, 0), (399, 1), (400, 0), (401, 0)]
    assert open_dataset(result.uri, deps).read()["n"].tail(3).to_list() == [198.0, 1.5, 7.0]


def test_pieces_of_a_position_are_the_whole(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic, 3)
    for partition in range(3):
        kafka.write(topic, spelled(*({"n": n} for n in range(partition * 20, partition * 30 + 5))), partition=partition)
    source = open_source()
    position = kept(source.position())
    pieces = [kept(piece) for piece in source.partitions(position, 4)]
    assert len(pieces) == 4
    assert [n for piece in pieces for n in numbers_of(source, piece)] == numbers_of(source, position)
    assert sum(source.estimate(piece) for piece in pieces) == source.estimate(position)


def test_a_rebalance_beside_us_moves_nothing(kafka: Kafka, topic: str, open_source: Open) -> None:
    """Consumers of a group come, go and commit while we read: our offsets are in the position alone."""
    kafka.create(topic, 2)
    for partition in range(2):
        kafka.write(topic, spelled(*({"n": n} for n in range(2_000))), partition=partition)
    settings = {
        "bootstrap.servers": kafka.address,
        "group.id": "aimass-without-a-group",
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000,
        "log_level": 0,
    }
    source = open_source()
    position = kept(source.position())
    whole = numbers_of(source, position)
    group = [Consumer(settings)]
    group[0].subscribe([topic])
    assert group[0].consume(1, 20)
    reading = source.read(position)
    found = []
    for number, batch in enumerate(reading):
        found += batch.rows["n"].to_pylist()
        if number == 0:
            group.append(Consumer(settings))
            group[1].subscribe([topic])
        for member in group:
            member.consume(100, 0.2)
    for member in group:
        member.close()
    assert found == whole


def test_a_broker_that_restarts_is_waited_for(kafka: Kafka, topic: str, open_source: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(messages, "BATCH_BYTES", 1 << 20)
    kafka.create(topic)
    kafka.write(topic, spelled(*({"n": n, "s": "x" * 2_000} for n in range(20_000))))
    source = open_source(connection={"timeout_s": 60}, sample_rows=10)
    position = source.position()
    reading = source.read(position)
    found = list(next(reading).rows["n"].to_pylist())
    kafka.kill()
    kafka.start()
    for batch in reading:
        found += batch.rows["n"].to_pylist()
    assert found == list(range(20_000))

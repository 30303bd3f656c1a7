"""Kafka keeps what every source keeps, and what an incremental one does, with either client library."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from google.protobuf import descriptor_pb2, message_factory, timestamp_pb2
from google.protobuf.descriptor_pool import DescriptorPool

from aimass.core.errors import EmptyDataError
from aimass.core.sources.base import Source
from aimass.core.sources.kafka import messages
from aimass.core.stages import ingest
from aimass.core.stages.ingest import IngestConfig
from aimass.core.testing.sources import (
    IncrementalSourceContract,
    SourceContract,
    check_cancel,
    peak_buffered_bytes,
)
from tests.integration.kafka.conftest import MARKS, Open, rejects_of, rows_of
from tests.integration.peak_memory import growth_bytes
from tests.services.kafka import PASSWORD, USER, Kafka

pytestmark = MARKS


def spelled(*records: Any) -> list[bytes | None]:
    return [json.dumps(record).encode() for record in records]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "BATCH_MESSAGES", 7)


class TestKafka(SourceContract, IncrementalSourceContract):
    @pytest.fixture
    def add_rows(self, kafka: Kafka, topic: str) -> Callable[[int], None]:
        written = iter(range(10**6))

        def add(count: int) -> None:
            for _ in range(count):
                number = next(written)
                kafka.write(topic, spelled({"n": number, "s": f"text {number}"}), partition=number % 3)

        return add

    @pytest.fixture
    def source(self, kafka: Kafka, topic: str, open_source: Open, add_rows: Callable[[int], None]) -> Source:
        kafka.create(topic, 3)
        kafka.write(topic, [b"poison", *spelled(*({"n": -n, "s": None} for n in range(20)))], partition=1)
        add_rows(3)
        return open_source(extras=("partition", "offset"))

    @pytest.fixture
    def reopen(self, source: Source, open_source: Open) -> Callable[[], Source]:
        return lambda: open_source(extras=("partition", "offset"))

    @pytest.fixture
    def add_tied_rows(self, kafka: Kafka, topic: str) -> Callable[[int], None]:
        """Messages of one moment: timestamps are data, nothing goes by them."""
        return lambda n: kafka.write(topic, spelled(*[{"n": 1, "s": "tied"}] * n), timestamp_ms=1)

    @pytest.fixture
    def add_late_rows(self, kafka: Kafka, topic: str) -> Callable[[int], None]:
        """A writer whose clock is a year behind."""
        return lambda n: kafka.write(topic, spelled(*[{"n": 2, "s": "late"}] * n), timestamp_ms=10**9)


def test_json_keeps_types_nulls_and_unicode(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic)
    record = {
        "i": 2**62,
        "f": 0.1,
        "b": True,
        "s": "北京 😀\n\x00",
        "d": "2026-01-31",
        "t": "2026-01-31T12:00:00.123456Z",
        "o": {"a": [1, None]},
        "none": None,
    }
    kafka.write(topic, [*spelled(record, {}, {"f": 3, "more": 1}), b'{"f": 1e3,\n "i": -1}'])
    table = rows_of(open_source())
    assert table.schema == pa.schema(
        {
            "i": pa.int64(),
            "f": pa.float64(),
            "b": pa.bool_(),
            "s": pa.large_string(),
            "d": pa.date32(),
            "t": pa.timestamp("us", "UTC"),
            "o": pa.large_string(),
            "none": pa.large_string(),
            "more": pa.int64(),
        }
    )
    moment = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
    assert table.to_pylist()[0] == {
        **record,
        "d": date(2026, 1, 31),
        "t": moment,
        "o": '{"a":[1,null]}',
        "more": None,
    }
    assert table["f"].to_pylist() == [0.1, None, 3.0, 1000.0]


def test_columns_about_the_message(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic, 2)
    kafka.write(
        topic, spelled({"n": 1}), partition=1, keys=["schlüssel".encode()], headers={"h": b"v"}, timestamp_ms=1_000
    )
    source = open_source(extras=("topic", "partition", "offset", "timestamp", "key", "headers"))
    assert rows_of(source).to_pylist() == [
        {
            "n": 1,
            "_topic": topic,
            "_partition": 1,
            "_offset": 0,
            "_timestamp": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
            "_key": "schlüssel",
            "_headers": '[["h", "v"]]',
        }
    ]


AVRO = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "text", "type": ["null", "string"]},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "blob", "type": "bytes"},
    ],
}


@pytest.mark.parametrize("prefix", [b"", b"\x00\x00\x00\x00\x07"])
def test_avro_keeps_types(kafka: Kafka, topic: str, open_source: Open, prefix: bytes) -> None:
    record = {
        "id": 2**40,
        "text": None,
        "price": Decimal("12.34"),
        "day": date(2026, 1, 31),
        "at": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "kind": "B",
        "tags": ["x", "ü"],
        "blob": b"\xff\x00",
    }
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(AVRO), record)
    kafka.create(topic)
    kafka.write(topic, [prefix + stream.getvalue(), b"poison"])
    spelling = {"wire_prefix": "confluent", "schema_id": 7} if prefix else {}
    source = open_source(format="avro", value_schema=json.dumps(AVRO), **spelling)
    assert rows_of(source).to_pylist() == [{**record, "tags": '["x","ü"]'}]
    assert [where for where, _ in rejects_of(source)] == [f"{topic}-0@1"]


def test_protobuf_keeps_types(kafka: Kafka, topic: str, open_source: Open) -> None:
    files = descriptor_pb2.FileDescriptorSet()
    timestamp_pb2.DESCRIPTOR.CopyToProto(files.file.add())
    file = files.file.add(name="o.proto", package="shop", syntax="proto3", dependency=[files.file[0].name])
    order = file.message_type.add(name="Order")
    kinds = descriptor_pb2.FieldDescriptorProto
    for number, (name, kind) in enumerate(
        [
            ("id", kinds.TYPE_UINT64),
            ("text", kinds.TYPE_STRING),
            ("share", kinds.TYPE_DOUBLE),
            ("blob", kinds.TYPE_BYTES),
        ],
        1,
    ):
        order.field.add(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    order.field.add(name="tags", number=5, type=kinds.TYPE_STRING, label=kinds.LABEL_REPEATED)
    stamp = {"type": kinds.TYPE_MESSAGE, "type_name": ".google.protobuf.Timestamp"}
    order.field.add(name="at", number=6, label=kinds.LABEL_OPTIONAL, **stamp)
    pool = DescriptorPool()
    for each in files.file:
        pool.Add(each)
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    message = made(id=2**64 - 1, text="ü", share=0.5, blob=b"\xff", tags=["a", "b"])
    message.at.FromDatetime(moment.replace(tzinfo=None))
    kafka.create(topic)
    prefix = b"\x00\x00\x00\x00\x07\x00"
    kafka.write(topic, [prefix + message.SerializeToString(), prefix, b"poison"])
    document = base64.b64encode(files.SerializeToString()).decode()
    source = open_source(format="protobuf", value_schema=document, message="shop.Order", wire_prefix="confluent")
    full = {"id": 2**64 - 1, "text": "ü", "share": 0.5, "blob": b"\xff", "tags": '["a","b"]', "at": moment}
    empty = {"id": 0, "text": "", "share": 0.0, "blob": b"", "tags": "[]", "at": None}
    assert rows_of(source).to_pylist() == [full, empty]
    assert [where for where, _ in rejects_of(source)] == [f"{topic}-0@2"]


def test_raw_values(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic)
    kafka.write(topic, ["ü".encode(), b"\xff", b""])
    assert rows_of(open_source(format="raw"))["value"].to_pylist() == ["ü", ""]
    assert rejects_of(open_source(format="raw")) == [(f"{topic}-0@1", "column value: not valid text")]
    assert rows_of(open_source(format="raw", raw_type="binary"))["value"].to_pylist() == ["ü".encode(), b"\xff", b""]


def test_a_topic_without_messages_is_empty(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic, 2)
    source = open_source()
    position = source.position()
    with pytest.raises(EmptyDataError, match="no message that is a JSON object"):
        source.schema(position)
    named = open_source(columns=["a"], types={"a": "integer"})
    assert rows_of(named).num_rows == 0


def test_one_row_500_columns_and_a_huge_cell(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic, max_message_bytes=str(32 << 20))
    wide = {f"c{number}": number for number in range(500)}
    kafka.write(topic, spelled({**wide, "huge": "x" * (16 << 20)}))
    table = rows_of(open_source())
    assert table.num_rows == 1
    assert table.num_columns == 501
    assert len(table["huge"][0].as_py()) == 16 << 20


def test_reading_can_be_stopped_and_holds_little(kafka: Kafka, topic: str, open_source: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(messages, "BATCH_BYTES", 1 << 20)
    monkeypatch.setattr(messages, "BATCH_MESSAGES", 100_000)
    kafka.create(topic)
    kafka.write(topic, spelled(*({"n": number, "s": "x" * 1_000} for number in range(20_000))))
    source = open_source(sample_rows=10)
    position = source.position()
    check_cancel(source, position)
    assert peak_buffered_bytes(source, position) < 16 << 20


def test_both_libraries_read_alike(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic, 4)
    for partition in range(4):
        kafka.write(
            topic, spelled(*({"n": n, "f": n / 7} for n in range(500))), partition=partition, headers={"a": b""}
        )
    extras = ("topic", "partition", "offset", "timestamp", "key", "headers")
    found = [open_source(engine=engine, extras=extras) for engine in ("confluent", "kafka-python")]
    assert found[0].position() == found[1].position()
    assert rows_of(found[0]).equals(rows_of(found[1]))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_no_secret_in_positions_logs_or_datasets(
    kafka: Kafka, topic: str, open_source: Open, mechanism: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    kafka.create(topic)
    kafka.write(topic, spelled({"a": 1}))
    login = {"bootstrap_servers": kafka.sasl_address, "user": USER, "password": PASSWORD, "mechanism": mechanism}
    with caplog.at_level(logging.DEBUG):
        source = open_source(connection={**login, "security_protocol": "SASL_PLAINTEXT"})
        position = source.position()
        assert rows_of(source, position).num_rows == 1
        document = {"type": "kafka", "topics": [topic], "engine": source.settings.engine}
        assert ingest.run(IngestConfig(name="t", source=document), source._deps).rows == 1
    written = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert topic.encode() in written
    assert PASSWORD.encode() not in written
    assert PASSWORD not in json.dumps(position) + caplog.text + repr(source._connection)


def test_four_times_as_much_takes_no_more_memory(kafka: Kafka, topic: str, engine: str, open_source: Open) -> None:
    kafka.create(topic)
    kafka.write(topic, [json.dumps({"s": "x" * 10_000}).encode()] * 16_000)
    document = {"type": "kafka", "topics": [topic], "engine": engine, "sample_rows": 10}
    grown, read = growth_bytes(open_source()._deps, {**document, "max_messages": 4_000}, document)
    assert read > 160_000_000
    assert grown < read / 2

"""What goes wrong around Kafka: wrong addresses, passwords and rights, cut connections, bad input."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from aimass.core.errors import (
    ConfigError,
    CorruptDataError,
    NotAllowedError,
    NotFoundError,
    SchemaMismatchError,
    UnreachableError,
)
from aimass.core.sources.kafka import messages
from tests.integration.kafka.conftest import MARKS, Open, rejects_of, rows_of
from tests.integration.kafka.test_kafka_contract import spelled
from tests.services.kafka import PASSWORD, USER, Kafka

pytestmark = MARKS


def login(kafka: Kafka, **others: str) -> dict[str, Any]:
    who = {"user": USER, "password": PASSWORD, "mechanism": "PLAIN", "security_protocol": "SASL_PLAINTEXT"}
    return {"bootstrap_servers": kafka.sasl_address, **who, **others}


def test_an_unknown_topic_is_told_with_the_nearest(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic)
    with pytest.raises(NotFoundError) as caught:
        open_source(topics=(topic[:-1],)).position()
    assert caught.value.details["nearest"] == topic
    with pytest.raises(NotFoundError, match="No topic matches"):
        open_source(topics=(), pattern="no-such-.*").position()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_a_wrong_password_is_refused_at_once(kafka: Kafka, open_source: Open, mechanism: str) -> None:
    begun = time.monotonic()
    with pytest.raises(NotAllowedError, match="refused user and password") as caught:
        open_source(connection=login(kafka, password="Wrong-Secret", mechanism=mechanism)).position()
    assert time.monotonic() - begun < 10
    assert "Wrong-Secret" not in str(caught.value)


def test_a_wrong_password_is_refused_by_the_reader(kafka: Kafka, topic: str, open_source: Open) -> None:
    """The library that fetches says so by itself, should the password change between position and read."""
    kafka.create(topic)
    kafka.write(topic, spelled({"a": 1}))
    source = open_source(connection=login(kafka, password="Wrong-Secret", timeout_s=5))
    with pytest.raises(NotAllowedError, match="refused user and password"):
        list(source._reader().read(messages.Span(topic, 0, 0, 1)))


def test_no_right_to_read_is_told(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic)
    kafka.write(topic, spelled({"a": 1}))
    place = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL)
    kafka.allow(AclBinding(*place, "User:somebody-else", "*", AclOperation.READ, AclPermissionType.ALLOW))
    with pytest.raises(NotAllowedError, match="does not let this user read"):
        open_source(connection=login(kafka)).position()
    kafka.allow(AclBinding(*place, f"User:{USER}", "*", AclOperation.DESCRIBE, AclPermissionType.ALLOW))
    source = open_source(connection=login(kafka), columns=["a"], types={"a": "integer"})
    with pytest.raises(NotAllowedError, match="does not let this user read"):
        rows_of(source)


def test_a_wrong_address_is_told_in_bounded_time(open_source: Open) -> None:
    for address in ("127.0.0.1:1", "no-such-host.invalid:9092"):
        begun = time.monotonic()
        with pytest.raises(UnreachableError, match="answered within 1 s"):
            open_source(connection={"bootstrap_servers": address, "timeout_s": 1}).position()
        assert time.monotonic() - begun < 5


def test_a_missing_certificate_is_told(open_source: Open) -> None:
    tls = {"security_protocol": "SSL", "ca_file": "/nonexistent/ca.pem", "timeout_s": 1}
    with pytest.raises((ConfigError, UnreachableError)):
        open_source(connection=tls).position()


def test_a_cut_connection_fails_and_a_retry_goes_on(
    kafka: Kafka, topic: str, open_source: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "BATCH_BYTES", 1 << 20)
    kafka.create(topic)
    kafka.write(topic, spelled(*({"n": number, "s": "x" * 2_000} for number in range(25_000))))
    proxied = {"bootstrap_servers": kafka.proxied_address, "timeout_s": 2}
    source = open_source(connection=proxied, sample_rows=10)
    position = source.position()
    whole = rows_of(open_source(sample_rows=10), position)
    done, resume = 0, None
    reading = source.read(position)
    try:
        with pytest.raises(UnreachableError):  # noqa: PT012 - which batch is the last one, the network decides
            for batch in reading:
                done, resume = done + batch.rows.num_rows, batch.resume
                kafka.proxy.go_down()
    finally:
        kafka.proxy.come_up()
    assert 0 < done < 25_000
    assert rows_of(source, position, resume).equals(whole.slice(done))


def test_a_short_cut_is_got_over(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic)
    kafka.write(topic, spelled(*({"n": number, "s": "x" * 2_000} for number in range(10_000))))
    source = open_source(connection={"bootstrap_servers": kafka.proxied_address}, sample_rows=10)
    position = source.position()
    kafka.proxy.cut_after(8 << 20)
    assert rows_of(source, position)["n"].to_pylist() == list(range(10_000))


def test_poison_is_kept_aside_or_refused(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic)
    poison = [b"", b"no json", b"[1]", b'{"n":', b'{"n": "\xff"}', b'{"n": "x"}', b'{"n": NaN}', b"{" * 100_000]
    kafka.write(topic, [*spelled({"n": 1}, {"n": 2}), *poison])
    source = open_source(types={"n": "integer"})
    kept_aside = rejects_of(source)
    assert rows_of(source)["n"].to_pylist() == [1, 2]
    assert [where for where, _ in kept_aside] == [f"{topic}-0@{offset}" for offset in range(2, 10)]
    with pytest.raises(CorruptDataError, match=f"{topic}-0@2 does not fit: not JSON"):
        rows_of(open_source(types={"n": "integer"}, on_poison="error"))


def test_tombstones_are_what_is_asked_for(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic)
    kafka.write(topic, [b'{"n": 1}', None, b"poison", b'{"n": 2}'], keys=[b"a", b"b", b"c", b"\xff"])
    extras = {"extras": ("key", "offset")}
    rows = rows_of(open_source(**extras, on_tombstone="row"))
    assert rows.to_pylist() == [{"n": 1, "_key": "a", "_offset": 0}, {"n": None, "_key": "b", "_offset": 1}]
    assert rejects_of(open_source(**extras)) == [
        (f"{topic}-0@1", "no value (a tombstone)"),
        (f"{topic}-0@2", "not JSON"),
        (f"{topic}-0@3", "key: not valid text"),
    ]
    assert len(rejects_of(open_source(**extras, on_tombstone="skip"))) == 2
    assert rows_of(open_source(**extras, on_tombstone="skip", on_poison="reject")).num_rows == 1


def test_a_column_that_is_asked_for_twice_is_refused(kafka: Kafka, topic: str, open_source: Open) -> None:
    kafka.create(topic)
    kafka.write(topic, spelled({"_offset": 1}))
    with pytest.raises(SchemaMismatchError, match="'_offset'"):
        rows_of(open_source(extras=("offset",)))
    with pytest.raises(SchemaMismatchError, match="Did you mean '_offset'"):
        rows_of(open_source(columns=("_ofset",)))


def test_a_skewed_clock_changes_nothing(kafka: Kafka, topic: str, open_source: Open) -> None:
    """Timestamps may jump back and forth; a read that starts at a time begins at the first that is late enough."""
    kafka.create(topic)
    for number, second in enumerate((1_000, 3_000, 2_000, 5_000)):
        kafka.write(topic, spelled({"n": number}), timestamp_ms=second * 1000)
    assert rows_of(open_source())["n"].to_pylist() == [0, 1, 2, 3]
    start = datetime.fromtimestamp(2_500, UTC)
    assert rows_of(open_source(start=start))["n"].to_pylist() == [1, 2, 3]
    assert rows_of(open_source(until=start))["n"].to_pylist() == [0]

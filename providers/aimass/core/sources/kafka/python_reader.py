"""Fetch messages with kafka-python: no compiled parts, hence everywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    KafkaError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from aimass.core.sources.kafka.connection import KafkaConnection, kafka_python_settings
from aimass.core.sources.kafka.failures import lost, not_authenticated, translated, unreachable
from aimass.core.sources.kafka.login import is_login_refused
from aimass.core.sources.kafka.messages import Messages, Span

PIECE_MESSAGES = 10_000
WAIT_MS = 200


class PythonReader:
    """Reads partitions one after another.

    Parameters
    ----------
    connection : KafkaConnection
        Where the cluster is.
    isolation : str
        ``read_committed`` or ``read_uncommitted``.
    extras : set of str
        What is wanted besides the values: ``timestamp``, ``key``, ``headers``.
    """

    def __init__(self, connection: KafkaConnection, *, isolation: str, extras: frozenset[str]) -> None:
        self._address = connection.bootstrap_servers
        self._timeout_s = connection.timeout_s
        self._extras = extras
        try:
            self._consumer = KafkaConsumer(
                **kafka_python_settings(connection),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level=isolation,
                allow_auto_create_topics=False,
                bootstrap_timeout_ms=int(connection.timeout_s * 1000),
                max_partition_fetch_bytes=8 << 20,
                fetch_max_bytes=32 << 20,
                # What is read is there already: no fetch need wait for more.
                fetch_max_wait_ms=10,
                # TCP and the broker check already; in Python this would take longer than all the rest.
                check_crcs=False,
                metrics_enabled=False,
            )
        except KafkaError as error:
            if is_login_refused(connection):
                raise not_authenticated(self._address) from error
            raise translated(error, address=self._address) from error

    def read(self, span: Span) -> Iterator[Messages]:
        """Yield the messages of `span` before its end."""
        partition = TopicPartition(span.topic, span.partition)
        at, heard = span.start, time.monotonic()
        try:
            self._consumer.assign([partition])
            self._consumer.seek(partition, span.start)
            while at < span.end:
                found = self._consumer.poll(WAIT_MS, max_records=PIECE_MESSAGES).get(partition, [])
                now = self._consumer.position(partition) or at
                if now > at or found:
                    at, heard = max(at, now), time.monotonic()
                elif time.monotonic() - heard > self._timeout_s:
                    raise unreachable(self._address, f"nothing came for {self._timeout_s:g} s")
                if found and found[-1].offset >= span.end:
                    found = [record for record in found if record.offset < span.end]
                if found:
                    yield self._messages(found)
        except (OffsetOutOfRangeError, NoOffsetForPartitionError, LogTruncationError) as error:
            begin = self._consumer.beginning_offsets([partition])[partition]
            raise lost(span.where, span.start, begin) from error
        except KafkaError as error:
            raise translated(error, address=self._address) from error

    def close(self) -> None:
        """Let go of everything."""
        self._consumer.close(autocommit=False)

    def _messages(self, found: list[Any]) -> Messages:
        extras = self._extras
        return Messages(
            offsets=[record.offset for record in found],
            values=[record.value for record in found],
            timestamps_ms=[record.timestamp for record in found] if "timestamp" in extras else [],
            keys=[record.key for record in found] if "key" in extras else [],
            headers=[record.headers for record in found] if "headers" in extras else [],
        )

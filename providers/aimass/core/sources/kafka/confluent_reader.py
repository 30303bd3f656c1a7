"""Fetch messages with confluent-kafka, which brings librdkafka: the fast way."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from aimass.core.errors import ConfigError, CorruptDataError, NotFoundError
from aimass.core.sources.kafka.connection import KafkaConnection, librdkafka_settings
from aimass.core.sources.kafka.failures import lost, not_authenticated, not_authorised, unreachable
from aimass.core.sources.kafka.messages import Messages, Span

# What the library is asked for at once: it waits for all of them as long as they come.
FIRST_PIECE_MESSAGES, PIECE_MESSAGES, PIECE_BYTES = 1_000, 10_000, 8 << 20
WAIT_S = 0.1
SETTINGS: dict[str, Any] = {
    # The library wants a group's name. We neither join one nor commit: offsets live in the manifest.
    "group.id": "aimass-without-a-group",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "allow.auto.create.topics": False,
    "fetch.message.max.bytes": 8 << 20,
    "fetch.max.bytes": 32 << 20,
    "queued.max.messages.kbytes": 32 << 10,
    "receive.message.max.bytes": 100 << 20,
    "fetch.queue.backoff.ms": 10,
    # What is read is there already. A fetch that waits at one partition's end would hold up the next one's first.
    "fetch.wait.max.ms": 10,
    "log_level": 0,
}


class ConfluentReader:
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
        self._failure: KafkaError | None = None
        self._piece = FIRST_PIECE_MESSAGES
        settings = librdkafka_settings(connection) | SETTINGS | {"isolation.level": isolation}
        self._consumer = Consumer(settings | {"error_cb": self._note}, logger=logging.getLogger(__name__))

    def read(self, span: Span) -> Iterator[Messages]:
        """Yield the messages of `span` before its end."""
        self._consumer.assign([TopicPartition(span.topic, span.partition, span.start)])
        at, heard = span.start, time.monotonic()
        while at < span.end:
            found = self._consumer.consume(min(self._piece, span.end - at), WAIT_S)
            if not found:
                self._check(heard)
                continue
            heard = time.monotonic()
            last = found[-1]
            if last.error() is None and all(message.error() is None for message in found):
                at = int(last.offset()) + 1  # type: ignore[arg-type] # what was fetched has an offset
            else:
                at = max([at, *(self._after(message, span) for message in found)])
                found = [message for message in found if message.error() is None]
            if at > span.end:
                found = [message for message in found if message.offset() < span.end]  # type: ignore[operator]
            if found:
                messages = self._messages(found)
                size = sum(len(value) for value in messages.values if value is not None)
                self._piece = max(1, min(PIECE_MESSAGES, len(found) * PIECE_BYTES // max(1, size)))
                yield messages

    def close(self) -> None:
        """Let go of everything."""
        self._consumer.close()

    def _messages(self, found: list[Message]) -> Messages:
        extras = self._extras
        return Messages(
            offsets=[message.offset() for message in found],  # type: ignore[misc]
            values=[message.value() for message in found],
            timestamps_ms=[message.timestamp()[1] for message in found] if "timestamp" in extras else [],
            keys=[message.key() for message in found] if "key" in extras else [],
            headers=[message.headers() for message in found] if "headers" in extras else [],  # type: ignore[misc]
        )

    def _after(self, message: Message, span: Span) -> int:
        """Return up to which offset the partition is read once `message` was; raise what it reports."""
        error = message.error()
        if error is None:
            return int(message.offset()) + 1  # type: ignore[arg-type]
        if error.code() == KafkaError._PARTITION_EOF:
            return int(message.offset())  # type: ignore[arg-type]
        self._raise(error, span)
        return span.start

    def _raise(self, error: KafkaError, span: Span) -> None:
        code = error.code()
        if code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            begin, _ = self._consumer.get_watermark_offsets(TopicPartition(span.topic, span.partition), self._timeout_s)
            raise lost(span.where, span.start, begin)
        if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise not_authorised(self._address, f"topic {span.topic}")
        if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION):
            raise NotFoundError(f"{span.where} is gone", hint="Start a new run: it reads what is there now")
        if code in (KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION):
            raise CorruptDataError(f"{self._address} sent a damaged message of {span.where}: {error.str()}")
        # Whatever else is reported passes by itself, or nothing comes any more and the wait ends.
        self._failure = error

    def _note(self, error: KafkaError) -> None:
        self._failure = error

    def _check(self, heard: float) -> None:
        """Raise when the cluster refuses, or has been silent for too long."""
        failure = self._failure
        if failure is not None and failure.code() in (
            KafkaError._AUTHENTICATION,
            KafkaError.SASL_AUTHENTICATION_FAILED,
        ):
            raise not_authenticated(self._address)
        if time.monotonic() - heard > self._timeout_s:
            said = f"; last: {failure.str()}" if failure else ""
            raise unreachable(self._address, f"nothing came for {self._timeout_s:g} s{said}")


def opened(connection: KafkaConnection, *, isolation: str, extras: frozenset[str]) -> ConfluentReader:
    """Return a reader; raises ConfigError when the library does not accept the connection."""
    try:
        return ConfluentReader(connection, isolation=isolation, extras=extras)
    except KafkaException as error:
        reason = error.args[0].str()
        raise ConfigError(f"librdkafka does not take the connection: {reason}", hint="Check its fields") from error

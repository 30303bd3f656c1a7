"""Messages that keep coming, in transactions too, while reads are killed: each committed one is there once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import KafkaException, Producer

from tests.crash.ingest_kills import prove_exactly_once
from tests.services.kafka import Kafka, kafka_server

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.integration("kafka")]
MESSAGES = 25
TOPIC = "live"
PARTITIONS = 3
RESTART_EVERY = 20


class LiveTopic:
    """A topic into which messages are written, a third of them in transactions, of which every second is aborted."""

    key = "number"

    def __init__(self, kafka: Kafka) -> None:
        self.kafka = kafka
        self.kafka.create(TOPIC, PARTITIONS)
        source = {"type": "kafka", "topics": [TOPIC], "columns": ["number", "text"]}
        self.config: dict[str, Any] = {"source": source | {"types": {"number": "integer", "text": "string"}}}
        self.connections = {"aimass_kafka": kafka.connection(timeout_s=60)}
        self._plain = kafka.producer(enable_idempotence=True)
        self._transactional = kafka.producer(transactional_id="live")
        self._transactional.init_transactions(60)
        self._batches = 0
        self._numbers: list[int] = []
        self._next = 0

    def write(self) -> None:
        self._batches += 1
        numbers = list(range(self._next, self._next + MESSAGES))
        self._next += MESSAGES
        if self._batches % 3:
            self._send(self._plain, numbers)
            self._numbers += numbers
        elif self._transact(numbers, commits=self._batches % 2 == 0):
            self._numbers += numbers

    def truth(self) -> pl.DataFrame:
        numbers = pl.Series("number", self._numbers, dtype=pl.Int64)
        return pl.DataFrame({"number": numbers, "text": [f"text {number}" for number in self._numbers]})

    def _transact(self, numbers: list[int], *, commits: bool) -> bool:
        self._transactional.begin_transaction()
        self._send(self._transactional, numbers)
        while True:
            try:
                end = self._transactional.commit_transaction if commits else self._transactional.abort_transaction
                end(60)
            except KafkaException as error:
                # While the broker restarts, the outcome is asked for again: it stays the one that was decided.
                if not error.args[0].retriable():
                    raise
            else:
                return commits

    def _send(self, producer: Producer, numbers: list[int]) -> None:
        for number in numbers:
            value = json.dumps({"number": number, "text": f"text {number}"}).encode()
            producer.produce(TOPIC, value, partition=number % PARTITIONS)
        assert producer.flush(60) == 0


@pytest.mark.timeout(0)
def test_messages_are_read_once(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points, seed = request.config.getoption("read_points"), request.config.getoption("--crash-seed")
    with kafka_server(tmp_path) as kafka:
        live = LiveTopic(kafka)
        restarted: list[int] = []

        def restart(number: int) -> None:
            """Kill the broker now and then, and start it again."""
            if number % RESTART_EVERY == RESTART_EVERY // 2:
                restarted.append(number)
                kafka.kill()
                kafka.start()

        folder = tmp_path / "reads"
        histogram = prove_exactly_once(live, points=points, seed=seed, folder=folder, disturb=restart)
    with capsys.disabled():
        print(f"\n{histogram.total()} kills, {len(restarted)} restarts of the broker, seed {seed}; ", end="")
        print(f"{live.truth().height:,} messages, none lost, none doubled")
        print(histogram.text())

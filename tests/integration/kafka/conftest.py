"""One broker for all tests of this folder; each test has topics of its own."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.sources.kafka.settings import KafkaSettings
from aimass.core.sources.kafka.source import KafkaSource
from tests.services.kafka import Kafka, kafka_server

Open = Callable[..., KafkaSource]
TIMEOUT_S = 15
MARKS = [
    pytest.mark.integration("kafka"),
    # kafka-python leaves the sockets of refused connections to the garbage collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with kafka_server(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


@pytest.fixture(params=["confluent", "kafka-python"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def topic() -> str:
    return f"t-{uuid4().hex}"


@pytest.fixture
def open_source(kafka: Kafka, engine: str, topic: str, tmp_path: Path) -> Open:
    """Return what opens a source of the test's topic; `connection` replaces fields of the connection."""

    def opened(*, connection: Mapping[str, Any] | None = None, **settings: Any) -> KafkaSource:
        document = {**kafka.connection(timeout_s=TIMEOUT_S), **(connection or {})}
        runtime = Runtime(store=str(tmp_path / "store"), connections={"aimass_kafka": document})
        chosen = {"topics": (topic,), "engine": engine, **settings}
        return KafkaSource(KafkaSettings.model_validate(chosen), Deps.from_runtime(runtime))

    return opened


def rows_of(source: KafkaSource, position: Any = None, resume: Any = None) -> pa.Table:
    """Return all rows of a position; by default, what is there now."""
    position = position or source.position()
    found = [batch.rows for batch in source.read(position, resume)]
    return pa.concat_tables([source.schema(position).empty_table(), *found]).combine_chunks()


def rejects_of(source: KafkaSource, position: Any = None) -> list[tuple[str, str]]:
    """Return place and reason of each reject."""
    batches = source.read(position or source.position())
    return [(row["where"], row["reason"]) for batch in batches if batch.rejects for row in batch.rejects.to_pylist()]

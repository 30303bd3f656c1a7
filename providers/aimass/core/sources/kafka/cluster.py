"""What a cluster tells about its topics: which there are, their partitions and offsets. Asked through kafka-python."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, NamedTuple

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaError, for_code

from aimass.core.errors import AimassError, NotFoundError, UnreachableError, nearest_name
from aimass.core.sources.kafka.connection import KafkaConnection, kafka_python_settings
from aimass.core.sources.kafka.failures import not_authenticated, translated
from aimass.core.sources.kafka.login import is_login_refused

FIRST_TRY_S = 2.0
Isolation = Literal["read_committed", "read_uncommitted"]


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.number}"


@dataclass(frozen=True)
class Topic:
    """A topic as the cluster describes it.

    Attributes
    ----------
    name : str
        Its name.
    id : str
        What the cluster gave it when it was made; "" from brokers before 2.8.
    partitions : list of Partition
        In order of their numbers.
    """

    name: str
    id: str
    partitions: list[Partition]


class Cluster:
    """A cluster, asked about its topics; used as a context manager.

    Parameters
    ----------
    connection : KafkaConnection
        Where it is.
    """

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection

    def __enter__(self) -> Cluster:
        self._client = _connect(self._connection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()
        if isinstance(error, KafkaError):
            raise self.failure(error) from error

    def failure(self, error: KafkaError) -> AimassError:
        """Return what a client's error means, in our tree."""
        return translated(error, address=self._connection.bootstrap_servers)

    def names(self) -> list[str]:
        """Return the names of all topics that are not Kafka's own."""
        return sorted(topic["name"] for topic in self._client.describe_topics() if not topic["is_internal"])

    def topics(self, names: Sequence[str]) -> list[Topic]:
        """Return topics in the order of `names`.

        Raises
        ------
        NotFoundError
            There is no such topic; the nearest is named.
        NotAllowedError
            The user may not read it.
        """
        found = {topic["name"]: topic for topic in self._client.describe_topics(list(names))} if names else {}
        return [self._topic(name, found[name]) for name in names]

    def begins(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the first offset that each partition still has."""
        return self._offsets(partitions, -2)

    def ends(self, partitions: Iterable[Partition], isolation: Isolation) -> dict[Partition, int]:
        """Return the offset that follows the last readable message of each partition."""
        return self._offsets(partitions, -1, isolation)

    def at_time(self, partitions: Iterable[Partition], timestamp_ms: int) -> dict[Partition, int | None]:
        """Return the first offset whose message has this timestamp or a later one; None where there is none."""
        found = self._offsets(partitions, timestamp_ms)
        return {partition: offset if offset >= 0 else None for partition, offset in found.items()}

    def _offsets(
        self, partitions: Iterable[Partition], what: int, isolation: Isolation = "read_uncommitted"
    ) -> dict[Partition, int]:
        wanted = {TopicPartition(*partition): what for partition in partitions}
        if not wanted:
            return {}
        found = self._client.list_partition_offsets(wanted, isolation_level=isolation)
        return {Partition(*partition): int(each.offset) for partition, each in found.items()}

    def _topic(self, name: str, described: dict[str, Any]) -> Topic:
        error = for_code(described["error_code"])
        if described["error_code"] == 3:
            raise self._missing(name)
        if described["error_code"]:
            raise self.failure(error(f"topic {name}"))
        numbers = sorted(each["partition_index"] for each in described["partitions"])
        topic_id = described.get("topic_id")
        return Topic(name, str(topic_id or ""), [Partition(name, number) for number in numbers])

    def _missing(self, name: str) -> NotFoundError:
        known = self.names()
        nearest = nearest_name(name, known)
        return NotFoundError(
            f"There is no topic {name!r}",
            known=known,
            hint=f"Did you mean {nearest!r}?" if nearest else "Check its name, and that the user may describe it",
            topic=name,
            nearest=nearest,
        )


def _connect(connection: KafkaConnection) -> KafkaAdminClient:
    """Return a client that has found a broker; a refused password is told at once, not after the whole time."""
    deadline = time.monotonic() + connection.timeout_s
    is_first = True
    while True:
        left = max(0.1, deadline - time.monotonic())
        try:
            return KafkaAdminClient(
                **kafka_python_settings(connection),
                bootstrap_timeout_ms=int(1000 * (min(left, FIRST_TRY_S) if is_first else left)),
            )
        except KafkaError as error:
            if is_first and is_login_refused(connection):
                raise not_authenticated(connection.bootstrap_servers) from error
            if time.monotonic() >= deadline:
                raise UnreachableError(
                    f"No broker of {connection.bootstrap_servers} answered within {connection.timeout_s:g} s",
                    hint="Check host, port and security_protocol of the connection, and that the cluster runs",
                ) from error
        except (OSError, ValueError) as error:
            raise translated(error, address=connection.bootstrap_servers) from error
        is_first = False

"""Positions: which offsets of which partitions are read, and what a later position needs to go on there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import Field

from aimass.core.errors import DataError, NotFoundError
from aimass.core.settings import Settings
from aimass.core.sources.kafka.messages import Span
from aimass.core.sources.kafka.settings import KafkaSettings

if TYPE_CHECKING:
    from aimass.core.sources.kafka.cluster import Cluster, Partition, Topic


class TopicOffsets(Settings):
    """The part of one topic."""

    id: str = Field(description="What the cluster gave the topic when it was made.")
    partitions: dict[int, tuple[int, int]] = Field(description="By partition: the first offset, and the one after.")


class KafkaPosition(Settings):
    """The offsets that a read takes."""

    topics: dict[str, TopicOffsets] = Field(description="By name.")
    columns: dict[str, str] | None = Field(
        default=None, description="Columns and types that were inferred; a later position knows them, too."
    )
    value_schema: str | None = Field(default=None, description="Digest of the schema that values are decoded by.")

    def spans(self) -> list[Span]:
        """Return the offsets in the order in which they are read: topic by topic, partition by partition."""
        return [
            Span(name, number, start, end)
            for name, topic in sorted(self.topics.items())
            for number, (start, end) in sorted(topic.partitions.items())
        ]

    def size(self) -> int:
        """Return the number of offsets; there are as many messages, or fewer where offsets have gaps."""
        return sum(span.end - span.start for span in self.spans())

    def restricted(self, spans: list[Span]) -> KafkaPosition:
        """Return the same position for `spans` only."""
        parts: dict[str, dict[int, tuple[int, int]]] = {}
        for span in spans:
            parts.setdefault(span.topic, {})[span.partition] = (span.start, span.end)
        topics = {name: TopicOffsets(id=self.topics[name].id, partitions=part) for name, part in parts.items()}
        return self.model_copy(update={"topics": topics})


def take(
    settings: KafkaSettings, cluster: Cluster, since: KafkaPosition | None
) -> tuple[KafkaPosition | None, dict[Partition, int]]:
    """Return what is there now, or what is new after `since` (None when nothing is), and where the partitions begin.

    Raises
    ------
    NotFoundError
        There is no such topic.
    DataError
        A topic is not the one that `since` tells of.
    """
    topics = cluster.topics(_names(settings, cluster, since))
    partitions = [partition for topic in topics for partition in topic.partitions]
    begins, ends = cluster.begins(partitions), cluster.ends(partitions, settings.isolation)
    starts = _first_starts(settings, cluster, begins, ends) if since is None else dict(begins)
    for topic in topics if since else ():
        _go_on(topic, since.topics.get(topic.name), settings, starts, ends)  # type: ignore[union-attr]
    if settings.until:
        limits = cluster.at_time(partitions, _milliseconds(settings.until))
        ends |= {each: min(ends[each], limit) for each, limit in limits.items() if limit is not None}
    sizes = {each: max(0, ends[each] - starts[each]) for each in partitions}
    if settings.max_messages is not None:
        sizes = share(sizes, settings.max_messages)
    if since is not None and not any(sizes.values()):
        return None, begins
    taken = {
        topic.name: TopicOffsets(
            id=topic.id,
            partitions={each.number: (starts[each], starts[each] + sizes[each]) for each in topic.partitions},
        )
        for topic in topics
    }
    return KafkaPosition(topics=_gone(since, taken) | taken), begins


def share(sizes: Mapping[Partition, int], limit: int) -> dict[Partition, int]:
    """Return how much of each partition is taken, `limit` in all: small ones whole, large ones equally."""
    taken, left = {}, limit
    smallest_first = sorted(sizes, key=lambda partition: (sizes[partition], partition))
    for number, partition in enumerate(smallest_first):
        taken[partition] = min(sizes[partition], left // (len(sizes) - number))
        left -= taken[partition]
    return taken


def split(position: KafkaPosition, count: int) -> Iterator[KafkaPosition]:
    """Cut a position into at most `count` positions of nearly the same number of offsets."""
    total = position.size()
    edges = [total * number // count for number in range(count + 1)]
    for begin, end in pairwise(edges):
        spans, first = [], 0
        for span in position.spans():
            start = span.start + max(0, begin - first)
            stop = min(span.end, span.start + end - first)
            if start < stop:
                spans.append(span._replace(start=start, end=stop))
            first += span.end - span.start
        if spans:
            yield position.restricted(spans)


def recreated(name: str) -> DataError:
    """Build the error for a topic that has the name of another one."""
    return DataError(
        f"The topic {name!r} was deleted and made anew since it was last read: a source that shrinks",
        expected="the same topic, with more messages",
        hint="`on_recreated: accept` reads the new one from its beginning; or give the dataset a new name",
        topic=name,
    )


def _names(settings: KafkaSettings, cluster: Cluster, since: KafkaPosition | None) -> list[str]:
    if settings.pattern is None:
        return sorted(set(settings.topics))
    known = cluster.names()
    found = [name for name in known if re.fullmatch(settings.pattern, name)]
    if not found and since is None:
        raise NotFoundError(f"No topic matches {settings.pattern!r}", known=known, hint="Check the pattern")
    missing = sorted(set(since.topics) - set(found)) if since else []
    if missing and settings.on_recreated == "error":
        raise DataError(
            f"The topic {missing[0]!r} is gone: a source that shrinks",
            expected="all topics that were read before",
            known=known,
            hint="`on_recreated: accept` goes on without it",
            topic=missing[0],
        )
    return found


def _first_starts(
    settings: KafkaSettings, cluster: Cluster, begins: dict[Partition, int], ends: dict[Partition, int]
) -> dict[Partition, int]:
    if settings.start == "earliest":
        return dict(begins)
    if settings.start == "latest":
        return dict(ends)
    found = cluster.at_time(begins, _milliseconds(settings.start))
    return {each: ends[each] if offset is None else min(offset, ends[each]) for each, offset in found.items()}


def _go_on(
    topic: Topic,
    earlier: TopicOffsets | None,
    settings: KafkaSettings,
    starts: dict[Partition, int],
    ends: dict[Partition, int],
) -> None:
    """Set where the partitions of `topic` are read on; those that are new begin at their beginning."""
    if earlier is None:
        return
    shrunk = [each for each in topic.partitions if ends[each] < earlier.partitions.get(each.number, (0, 0))[1]]
    is_another = bool(topic.id and earlier.id) and topic.id != earlier.id
    if is_another or (shrunk and not topic.id):
        if settings.on_recreated == "error":
            raise recreated(topic.name)
        return
    if shrunk:
        raise DataError(
            f"{shrunk[0]} ends at offset {ends[shrunk[0]]:,}: a source that shrinks",
            expected=f"at least {earlier.partitions[shrunk[0].number][1]:,}, up to where it was read before",
            hint="The cluster lost messages that it had confirmed; read it under a new name",
            topic_partition=str(shrunk[0]),
        )
    for each in topic.partitions:
        if each.number in earlier.partitions:
            starts[each] = earlier.partitions[each.number][1]


def _gone(since: KafkaPosition | None, taken: dict[str, TopicOffsets]) -> dict[str, TopicOffsets]:
    """Return the topics of `since` that are not there any more, with nothing to read."""
    return {
        name: topic.model_copy(update={"partitions": {each: (end, end) for each, (_, end) in topic.partitions.items()}})
        for name, topic in (since.topics if since else {}).items()
        if name not in taken
    }


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)

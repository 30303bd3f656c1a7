"""Cutting positions and messages into pieces loses and doubles nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.sources.kafka import messages
from aimass.core.sources.kafka.messages import Messages, cut
from aimass.core.sources.kafka.offsets import KafkaPosition, share, split

SIZES = st.lists(st.integers(0, 40), min_size=1, max_size=6)


def position_of(sizes: list[int]) -> KafkaPosition:
    partitions = {number: (number * 10, number * 10 + size) for number, size in enumerate(sizes)}
    return KafkaPosition.model_validate({"topics": {"t": {"id": "x", "partitions": partitions}}})


@given(SIZES, st.integers(1, 9))
def test_pieces_of_a_position_are_the_whole(sizes: list[int], count: int) -> None:
    def offsets(one: KafkaPosition) -> list[tuple[int, int]]:
        return [(span.partition, offset) for span in one.spans() for offset in range(span.start, span.end)]

    pieces = list(split(position_of(sizes), count))
    assert len(pieces) <= count
    assert [each for piece in pieces for each in offsets(piece)] == offsets(position_of(sizes))


@given(SIZES, st.integers(1, 100))
def test_a_share_is_the_limit_or_everything(sizes: list[int], limit: int) -> None:
    named: Any = dict(enumerate(sizes))
    taken = share(named, limit)
    assert sum(taken.values()) == min(limit, sum(sizes))
    assert all(0 <= taken[name] <= size for name, size in named.items())


@given(st.lists(st.lists(st.binary(max_size=9), max_size=20), max_size=8), st.integers(0, 160))
def test_batches_do_not_depend_on_pieces(pieces: list[list[bytes]], resume: int) -> None:
    values = [value for piece in pieces for value in piece]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "BATCH_BYTES", 20)
        patch.setattr(messages, "BATCH_MESSAGES", 7)
        made, first = [], 0
        for piece in pieces:
            made.append(Messages(list(range(first, first + len(piece))), list(piece)))
            first += len(piece)
        found = [batch.offsets for batch in cut(made)]
        whole = [batch.offsets for batch in cut([Messages(list(range(len(values))), list(values))])]
    assert found == whole
    assert [offset for batch in found for offset in batch] == list(range(len(values)))

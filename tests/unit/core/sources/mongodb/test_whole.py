"""Documents that are kept until all are there."""

from __future__ import annotations

from collections.abc import Iterator

import bson
import pytest

from aimass.core.sources.mongodb import whole
from aimass.core.sources.mongodb.batches import RawDocuments
from aimass.core.sources.mongodb.whole import Whole, take_whole


def answers(*sizes: int) -> Iterator[RawDocuments]:
    """Yield so many documents in each answer, numbered from 0."""
    first = 0
    for size in sizes:
        yield RawDocuments(b"".join(bson.encode({"n": n}) for n in range(first, first + size)))
        first += size


@pytest.mark.parametrize(
    ("half", "expected"), [(2, [0, 1, 5, 6]), (3, [0, 1, 2, 4, 5, 6]), (4, [*range(7)]), (9, [*range(7)])]
)
def test_a_sample_is_the_first_and_the_last_documents(half: int, expected: list[int]) -> None:
    documents = Whole(answers(3, 1, 3))
    assert len(documents) == 7
    assert [bson.decode(each)["n"] for each in documents.sample(half)] == expected


def test_what_is_taken_is_not_kept() -> None:
    documents = take_whole(answers(3, 4))
    assert documents is not None
    assert [len(each) for each in documents.taken()] == [3, 4]
    assert len(documents) == 0


def test_what_is_too_much_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "WHOLE_BYTES", 50)
    unread = answers(*[2] * 9)
    assert take_whole(unread) is None
    assert len([*unread]) == 6

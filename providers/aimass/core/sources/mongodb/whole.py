"""Documents so few that they are kept until all are there, which needs no order and no second query."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from aimass.core.sources.mongodb.batches import RawDocuments

WHOLE_BYTES = 32 << 20


class Whole:
    """All documents there are.

    Parameters
    ----------
    answers : iterable of RawDocuments
        They, as the server sent them.
    """

    def __init__(self, answers: Iterable[RawDocuments]) -> None:
        self._answers = deque(answers)

    def __len__(self) -> int:
        return sum(map(len, self._answers))

    def sample(self, half: int) -> Iterator[bytes]:
        """Yield the first and the last documents, `half` of each: they change over the years."""
        at, last = 0, len(self) - half
        for documents in self._answers:
            for index in range(len(documents)):
                if at + index < half or at + index >= last:
                    yield documents[index]
            at += len(documents)

    def taken(self) -> Iterator[RawDocuments]:
        """Yield the documents, and keep none of them."""
        while self._answers:
            yield self._answers.popleft()


def take_whole(answers: Iterable[RawDocuments]) -> Whole | None:
    """Return the documents; None where they are more than 32 MiB, of which no more is read."""
    found, size = [], 0
    for documents in answers:
        size += len(documents.data)
        if size > WHOLE_BYTES:
            return None
        found.append(documents)
    return Whole(found)

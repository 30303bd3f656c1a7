"""Messages of one partition, column by column, and the batches that they are cut into."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

BATCH_BYTES = 8 << 20
BATCH_MESSAGES = 50_000

Headers = Sequence[tuple[str, bytes | None]] | None


class Span(NamedTuple):
    """Offsets of one partition: from `start` up to, not including, `end`."""

    topic: str
    partition: int
    start: int
    end: int

    @property
    def where(self) -> str:
        """The partition as messages and rejects name it."""
        return f"{self.topic}-{self.partition}"


@dataclass
class Messages:
    """Messages in order of their offsets.

    Attributes
    ----------
    offsets : list of int
        Their places.
    values : list of bytes or None
        What they say; None is a tombstone.
    timestamps_ms : list of int
        When they were written, as the writer's or the broker's clock says; empty unless asked for.
    keys, headers : list
        Empty unless asked for.
    """

    offsets: list[int] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    timestamps_ms: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    headers: list[Headers] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.offsets)

    def columns(self) -> tuple[list[Any], ...]:
        """Return the five lists."""
        return self.offsets, self.values, self.timestamps_ms, self.keys, self.headers

    def extend(self, other: Messages) -> None:
        """Add what follows."""
        for mine, more in zip(self.columns(), other.columns(), strict=True):
            mine.extend(more)

    def part(self, begin: int, end: int | None) -> Messages:
        """Return the messages with the indices `begin` up to `end`."""
        return Messages(*(column[begin:end] for column in self.columns()))


class Reader(Protocol):
    """A client library that fetches messages. Closing it lets go of its connections."""

    def read(self, span: Span) -> Iterator[Messages]:
        """Yield the messages of `span` in pieces of any size, those before its end only.

        It ends once the partition is read up to `span.end`, whether or not there are messages right before it:
        offsets have gaps where transactions ended or compaction took older values away.

        Raises
        ------
        DataError
            The first offsets are gone.
        UnreachableError
            Nothing came for the connection's `timeout_s`.
        """

    def close(self) -> None:
        """Let go of everything."""


def cut(pieces: Iterable[Messages]) -> Generator[Messages, None, None]:
    """Cut pieces of any size into batches of about 8 MiB, 50,000 messages at most.

    Where a batch ends depends on the messages since the last end alone, so a reader that resumes gets the same ones.
    """
    held, held_bytes = Messages(), 0
    for piece in pieces:
        while True:
            sizes = [len(value) if value else 0 for value in piece.values]
            total = held_bytes + sum(sizes)
            if total < BATCH_BYTES and len(held) + len(piece) < BATCH_MESSAGES:
                held.extend(piece)
                held_bytes = total
                break
            room = BATCH_MESSAGES - len(held)
            full = (index + 1 for index, size in enumerate(accumulate(sizes)) if held_bytes + size >= BATCH_BYTES)
            end = min(room, next(full, room))
            held.extend(piece.part(0, end))
            yield held
            held, held_bytes = Messages(), 0
            piece = piece.part(end, None)
    if len(held):
        yield held

"""Which rows of a growing table are new: by columns that grow, with ties, and with rows that commit late.

Rows are ordered by a key: the columns that grow, then whatever makes it unique. A watermark says which rows a position
yields: those above one key up to another, as they were there when it was taken. Numbers are drawn and times are noted
before a transaction commits, so a row may appear below the watermark. Hence the rows of a window below it are
remembered, and the next watermark names those of the window that came late, one by one. Rows that appear in the window
while it is being read are left to the next watermark too, so reading again after a crash gives the same rows.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aimass.core.errors import DataError
from aimass.core.settings import Settings

MAX_REMEMBERED = 200_000

Key = list[Any]
"""The key of a row as JSON: numbers, or text of a fixed width that sorts as the values do (in its first place)."""


class Keys(Protocol):
    """The keys of a table as they are now."""

    def newest(self, after: Key | None) -> Key | None:
        """Return the greatest key that is greater than `after`, or of all; None where there is none."""

    def between(self, after: Key, to: Key) -> Iterable[Key]:
        """Return the keys greater than `after`, up to and with `to`, in order.

        `after` may be a prefix of a key: then rows whose first columns equal it are not greater.
        """

    def floor(self, to: Key) -> Any:
        """Return the first column's value up to which no row comes late any more when `to` is there.

        None where rows are trusted never to come late.
        """


class Seen(Settings):
    """A set of keys, small: runs of single numbers without a gap, or 64-bit digests of other keys."""

    runs: list[tuple[int, int]] = Field(default_factory=list, description="First and last number of each run, sorted.")
    digests: str = Field(default="", description="Sorted 64-bit digests, base64.")

    @classmethod
    def of(cls, keys: Iterable[Key]) -> Seen:
        """Build the set of `keys`, given in order; raises DataError where it would be too large."""
        runs: list[tuple[int, int]] = []
        digests: list[int] = []
        for key in keys:
            if len(key) == 1 and isinstance(key[0], int):
                if runs and key[0] == runs[-1][1] + 1:
                    runs[-1] = (runs[-1][0], key[0])
                else:
                    runs.append((key[0], key[0]))
            else:
                digests.append(_digest(key))
            if len(runs) + len(digests) > MAX_REMEMBERED:
                raise _too_many()
        packed = np.array(sorted(digests), dtype="<u8").tobytes()
        return cls(runs=runs, digests=base64.b64encode(packed).decode())

    def __contains__(self, key: Key) -> bool:
        if len(key) == 1 and isinstance(key[0], int):
            index = bisect.bisect_right(self.runs, key[0], key=lambda run: run[0]) - 1
            return index >= 0 and key[0] <= self.runs[index][1]
        digest, known = np.uint64(_digest(key)), self._sorted_digests
        index = int(np.searchsorted(known, digest))
        return index < len(known) and bool(known[index] == digest)

    @cached_property
    def _sorted_digests(self) -> npt.NDArray[np.uint64]:
        return np.frombuffer(base64.b64decode(self.digests), dtype="<u8").astype(np.uint64)


class Watermark(Settings):
    """The rows of a position: the late ones, then those above `after` up to `to` for which `takes` holds."""

    after: Key | None = Field(default=None, description="Rows with a greater key; None for all from the beginning.")
    to: Key | None = Field(default=None, description="Rows up to and with this key; None where there was no row.")
    floor: Any = Field(default=None, description="Rows with a greater first column may come late.")
    seen: Seen = Field(default_factory=Seen, description="The keys above the floor that were there.")
    late: list[Key] = Field(default_factory=list, description="Keys up to `after` that came late, in order.")

    def takes(self, keys: Sequence[Key]) -> list[bool]:
        """Tell for each key above `after` up to `to` whether its row is one of this position's."""
        return [self.floor is None or not key[0] > self.floor or key in self.seen for key in keys]

    def cut(self, ends: Iterable[Key]) -> list[Watermark]:
        """Return the pieces of the range that end at `ends`, keys inside it in order, and at `to`; late rows first."""
        edges = [self.after, *ends, self.to]
        pieces = [self.model_copy(update={"after": a, "to": b, "late": []}) for a, b in pairwise(edges) if a != b]
        # What was seen near the end concerns the pieces there; a copy in each would only make them long.
        pieces = [each if each._may_miss else each.model_copy(update={"seen": Seen()}) for each in pieces]
        return [pieces[0].model_copy(update={"late": self.late}), *pieces[1:]]

    @property
    def _may_miss(self) -> bool:
        """Whether rows may appear in the range that are not of this position."""
        return self.floor is not None and self.to is not None and self.to[0] > self.floor

    @property
    def has_range(self) -> bool:
        """Whether there may be rows besides the late ones."""
        return self.to is not None and self.to != self.after


def next_watermark(keys: Keys, since: Watermark | None = None) -> Watermark | None:
    """Return the watermark of what is there now, or of what came after `since`; then None when nothing did.

    Raises
    ------
    DataError
        More rows lie between the floor and the newest row than can be remembered.
    """
    after = since.to if since else None
    newest = keys.newest(after)
    to = newest or after
    if to is None:
        return None if since else Watermark()
    before = _window(keys, since)
    late = [key for key in before if since and key not in since.seen]
    if newest is None and not late:
        return None
    if len(late) > MAX_REMEMBERED:
        raise _too_many()
    floor = keys.floor(to)
    # What `before` does not hold is not remembered as seen, even where it has appeared since: it is late next time.
    present = [key for key in before if floor is not None and key[0] > floor]
    if newest is not None and floor is not None:
        start = after if after is not None and after[0] > floor else [floor]
        present.extend(keys.between(start, newest))
    return Watermark(after=after, to=to, floor=floor, seen=Seen.of(present), late=late)


def _window(keys: Keys, since: Watermark | None) -> list[Key]:
    """Return the keys that `since` may have missed, and those near them that it has seen."""
    if since is None or since.to is None or since.floor is None:
        return []
    return list(keys.between([since.floor], since.to))


def _digest(key: Key) -> int:
    text = json.dumps(key, ensure_ascii=False, default=str).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _too_many() -> DataError:
    return DataError(
        f"More than {MAX_REMEMBERED:,} rows lie within the lookback",
        expected=f"at most {MAX_REMEMBERED:,} rows, or gaps between numbers, that may still come late",
        hint="Set a smaller `lookback`, or read more often",
    )

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.errors import DataError
from aimass.core.sources import watermark
from aimass.core.sources.watermark import Key, Seen, Watermark, next_watermark


class Table:
    """Keys in memory; what is drawn is committed later, in any order."""

    def __init__(self, lookback: int) -> None:
        self.rows: set[tuple[Any, ...]] = set()
        self.lookback = lookback

    def newest(self, after: Key | None) -> Key | None:
        found = [key for key in self.rows if after is None or key > tuple(after)]
        return list(max(found)) if found else None

    def between(self, after: Key, to: Key) -> list[Key]:
        size = len(after)
        return [list(key) for key in sorted(self.rows) if key[:size] > tuple(after) and key <= tuple(to)]

    def floor(self, to: Key) -> Any:
        return to[0] - self.lookback if self.lookback else None

    def read(self, mark: Watermark) -> list[tuple[Any, ...]]:
        found = [tuple(key) for key in mark.late if tuple(key) in self.rows]
        if not mark.has_range:
            return found
        inside = [key for key in sorted(self.rows) if mark.after is None or key > tuple(mark.after)]
        inside = [key for key in inside if key <= tuple(mark.to or ())]
        return found + [key for key, taken in zip(inside, mark.takes([list(k) for k in inside]), strict=True) if taken]


def through_json(mark: Watermark | None) -> Watermark | None:
    return None if mark is None else Watermark.model_validate(json.loads(mark.model_dump_json()))


STEPS = st.lists(st.tuples(st.sampled_from(["draw", "commit", "take"]), st.integers(0, 5)), max_size=60)


@pytest.mark.parametrize("has_ties", [False, True])
@given(steps=STEPS)
def test_chain_rows_that_commit_late_read_exactly_once(has_ties: bool, steps: list[tuple[str, int]]) -> None:
    table, pending, drawn = Table(lookback=50), [], 0
    mark: Watermark | None = None
    marks: list[tuple[Watermark, list[tuple[Any, ...]]]] = []
    for step, number in [*steps, *[("commit", 0)] * 60, ("take", 0)]:
        if step == "draw":
            drawn += number // 2 if has_ties else number + 1
            key = (drawn, len(pending) + 100 * len(marks) + len(table.rows)) if has_ties else (drawn,)
            pending.append(key)
        elif step == "commit" and pending:
            table.rows.add(pending.pop(number % len(pending)))
        elif step == "take":
            found = through_json(next_watermark(table, mark))
            if found is not None:
                mark = found
                marks.append((found, table.read(found)))
    if drawn > 50:  # a row may then have come after the lookback
        return
    read = [row for _, rows in marks for row in rows]
    assert sorted(read) == sorted(table.rows)
    assert len(read) == len(set(read))
    # What committed since changes nothing about what an earlier position yields.
    assert all(table.read(each) == rows for each, rows in marks)
    assert all(read_in_pieces(table, each) == rows for each, rows in marks)


def read_in_pieces(table: Table, mark: Watermark) -> list[tuple[Any, ...]]:
    """Read a watermark cut at some keys of its range, the first and the last one included."""
    if not mark.has_range:
        return table.read(mark)
    inside = table.between(mark.after or [-1], mark.to or [])
    pieces = [through_json(piece) for piece in mark.cut([*inside[:: len(inside) // 2 + 1], *inside[-1:]])]
    return [row for piece in pieces if piece is not None for row in table.read(piece)]


def test_next_watermark_nothing_new_gives_none() -> None:
    table = Table(lookback=10)
    empty = next_watermark(table)
    assert empty == Watermark()
    assert not empty.has_range
    assert next_watermark(table, empty) is None
    table.rows = {(1,), (2,)}
    first = next_watermark(table, empty)
    assert first is not None
    assert table.read(first) == [(1,), (2,)]
    assert next_watermark(table, first) is None


def test_next_watermark_only_late_rows_has_no_range() -> None:
    table = Table(lookback=10)
    table.rows = {(1,), (5,)}
    first = next_watermark(table)
    table.rows.add((3,))
    second = next_watermark(table, first)
    assert second is not None
    assert (second.late, second.has_range) == ([[3]], False)
    assert next_watermark(table, second) is None


def test_next_watermark_without_lookback_remembers_nothing() -> None:
    table = Table(lookback=0)
    table.rows = {(1,), (5,)}
    first = next_watermark(table)
    table.rows |= {(3,), (6,)}
    second = next_watermark(table, first)
    assert first is not None
    assert second is not None
    assert (first.seen, second.seen) == (Seen(), Seen())
    assert table.read(second) == [(6,)]


def test_seen_runs_stay_small() -> None:
    seen = Seen.of([[number] for number in range(100_000) if number != 7])
    assert seen.runs == [(0, 6), (8, 99_999)]
    assert [6] in seen
    assert [7] not in seen
    assert [100_000] not in seen


def test_seen_too_many_keys_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermark, "MAX_REMEMBERED", 3)
    with pytest.raises(DataError, match="lookback"):
        Seen.of([["2024", number] for number in range(4)])


@given(st.sets(st.tuples(st.text(max_size=5), st.integers())), st.tuples(st.text(max_size=5), st.integers()))
def test_seen_digests_hold_what_was_put_in(keys: set[tuple[str, int]], other: tuple[str, int]) -> None:
    seen = Seen.of([list(key) for key in sorted(keys)])
    assert all(list(key) in seen for key in keys)
    assert (list(other) in seen) == (other in keys)

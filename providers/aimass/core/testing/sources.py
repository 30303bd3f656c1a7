"""A source in memory that can fail on purpose, and the contract that every source keeps."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pyarrow as pa
import pytest
from pydantic import Field

from aimass.core import settings
from aimass.core.errors import EmptyDataError, UnreachableError
from aimass.core.sources.base import Source, SourceBatch
from aimass.core.sources.rejects import SCHEMA as REJECTS

if TYPE_CHECKING:
    from aimass.core.deps import Deps

THREADS_END_S = 20.0


class MemoryTable:
    """Rows that are committed one after the other; every source of that name reads them.

    Attributes
    ----------
    numbers : list of int
        The rows' numbers in the order in which they were committed, which need not be their own order.
    columns : dict
        Further columns of the rows that are committed from now on, with their Arrow types; nulls before.
    """

    _by_name: ClassVar[dict[str, MemoryTable]] = {}

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.columns: dict[str, pa.DataType] = {}

    @classmethod
    def named(cls, name: str) -> MemoryTable:
        """Return the table of that name, an empty one at first."""
        return cls._by_name.setdefault(name, cls())

    def commit(self, *numbers: int) -> None:
        """Append rows."""
        self.numbers.extend(numbers)


class MemorySettings(settings.Settings):
    """What the source in memory holds, and how often it fails."""

    rows: int = Field(default=1_000, ge=0, description="Number of rows; row i is (i, 'text i'). Unused with a table.")
    table: str | None = Field(default=None, description="Read the `MemoryTable` of that name, which may grow.")
    rows_per_batch: int = Field(default=100, ge=1, description="Rows of one batch.")
    reject_every: int = Field(default=0, ge=0, description="Every how many rows one is kept aside; 0 for none.")
    failure_probability: float = Field(
        default=0.0, ge=0, le=1, description="Probability that a batch is not delivered but UnreachableError raised."
    )
    seed: int = Field(default=0, description="Seed of the failures.")


class MemorySource:
    """Numbered rows made on the spot, in the order in which they were committed."""

    Settings: ClassVar[type[settings.Settings]] = MemorySettings
    consistent: ClassVar[bool] = True

    def __init__(self, settings: MemorySettings, deps: Deps) -> None:
        self.settings = settings
        self._deps = deps
        self._chance = random.Random(settings.seed)

    def position(self, since: Any = None) -> dict[str, int] | None:
        """Return between which places in the order of commits the rows lie."""
        begin, end = since["end"] if since else 0, len(self._numbers())
        return None if since and begin == end else {"begin": begin, "end": end}

    def schema(self, position: Any) -> pa.Schema:
        """Return the two columns and what the table has besides."""
        if not position["end"]:
            raise EmptyDataError("The source in memory has no rows", expected="rows of 1 or more")
        more = MemoryTable.named(self.settings.table).columns if self.settings.table else {}
        columns = {"number": pa.int64(), "text": pa.large_string(), **more}
        return pa.schema(list(columns.items()))

    def read(self, position: Any, resume: Any = None) -> Iterator[SourceBatch]:
        """Yield the rows after `resume`; each batch may fail."""
        self._deps.check_read("memory-source://")
        schema = self.schema(position)
        for start in range(resume or position["begin"], position["end"], self.settings.rows_per_batch):
            if self._chance.random() < self.settings.failure_probability:
                raise UnreachableError(f"The source in memory failed before row {start}, as its settings wish")
            stop = min(start + self.settings.rows_per_batch, position["end"])
            yield self._batch(self._numbers()[start:stop], schema, stop)

    def estimate(self, position: Any) -> int:
        """Return the number of rows."""
        return int(position["end"] - position["begin"])

    def partitions(self, position: Any, count: int) -> list[dict[str, int]]:
        """Cut a position into `count` of nearly equal size, or fewer."""
        edges = [position["begin"] + self.estimate(position) * i // count for i in range(count + 1)]
        return [{"begin": begin, "end": end} for begin, end in pairwise(edges) if begin < end]

    def _numbers(self) -> Sequence[int]:
        return MemoryTable.named(self.settings.table).numbers if self.settings.table else range(self.settings.rows)

    def _batch(self, numbers: Sequence[int], schema: pa.Schema, stop: int) -> SourceBatch:
        every = self.settings.reject_every
        bad = [i for i in numbers if every and i % every == 0]
        good = [i for i in numbers if not (every and i % every == 0)]
        known = {"number": pa.array(good, pa.int64()), "text": pa.array([f"text {i}" for i in good], pa.large_string())}
        arrays = [
            known[field.name].cast(field.type) if field.name in known else pa.nulls(len(good), field.type)
            for field in schema
        ]
        rejects = pa.table([[f"row {i}" for i in bad], ["unwanted"] * len(bad), [str(i) for i in bad]], schema=REJECTS)
        return SourceBatch(pa.table(arrays, schema=schema), stop, rejects if bad else None)


class SourceContract:
    """What every source does; a test class inherits it and provides the fixture `source`, with at least two rows.

    A source is read twice, from its beginning and from each place where a batch ended, and must give the same rows.
    """

    def test_position_can_be_kept_as_json(self, source: Source) -> None:
        """A position survives the store."""
        position = source.position()
        assert json.loads(json.dumps(position)) == position

    def test_position_stands_still_while_nothing_changes(self, source: Source) -> None:
        """Asking does not move the source."""
        assert source.position() == source.position()

    def test_rows_have_the_schema(self, source: Source) -> None:
        """Every batch has the columns and types that `schema` tells."""
        position = source.position()
        schema = source.schema(position)
        for batch in source.read(position):
            assert batch.rows.schema == schema

    def test_reading_twice_gives_the_same_rows(self, source: Source) -> None:
        """Rows come in the same order again and again."""
        position = source.position()
        assert _all_rows(source, position).equals(_all_rows(source, position))

    def test_reading_goes_on_after_each_batch(self, source: Source) -> None:
        """No row is lost or doubled when a reader resumes, wherever it stopped."""
        check_resume(source, source.position())

    def test_pieces_have_the_rows_of_the_whole(self, source: Source) -> None:
        """Cut into pieces, which other processes may read, the rows are the same, each once, in the same columns."""
        position = source.position()
        cut = getattr(source, "partitions", None)
        if cut is None:
            return
        pieces = kept(cut(position, 3))
        assert 1 <= len(pieces) <= 3
        assert all(source.schema(piece) == source.schema(position) for piece in pieces)
        assert sum((row_counts(source, piece) for piece in pieces), Counter()) == row_counts(source, position)

    def test_rejects_say_where_and_why(self, source: Source) -> None:
        """Rejected rows carry place, reason and raw text."""
        for batch in source.read(source.position()):
            if batch.rejects is not None:
                assert batch.rejects.schema.equals(REJECTS)
                assert all(row["where"] and row["reason"] for row in batch.rejects.to_pylist())


class IncrementalSourceContract:
    """What a source does that can tell what is new; a test class inherits it and provides the first two fixtures.

    - ``source``: the source, with at least two rows, set so that it can tell what is new.
    - ``add_rows``: ``add_rows(n)`` commits n more rows.
    - ``add_tied_rows``: ``add_tied_rows(n)`` commits n rows that stand at the very place (same cursor value, same
      timestamp) where the last row stands. None (the default) where the source has no such thing.
    - ``add_late_rows``: ``add_late_rows(n)`` commits n rows that sort before rows that are there. None, again.
    - ``reopen``: ``reopen()`` returns the source as another process opens it; `source` itself by default.
    """

    @pytest.fixture
    def add_tied_rows(self) -> Callable[[int], None] | None:
        """Nothing can be tied; override where it can."""
        return None

    @pytest.fixture
    def add_late_rows(self) -> Callable[[int], None] | None:
        """Nothing comes late; override where it does."""
        return None

    @pytest.fixture
    def reopen(self, source: Source) -> Callable[[], Source]:
        """Return the same source; override where it keeps something in memory."""
        return lambda: source

    def test_nothing_is_new_at_first(self, source: Source) -> None:
        """A second look finds nothing while nothing happens, and looking changes nothing."""
        position = kept(source.position())
        assert source.position(position) is None
        assert source.position(position) is None

    def test_new_rows_are_told_once(self, reopen: Callable[[], Source], add_rows: Callable[[int], None]) -> None:
        """A chain of positions cuts the rows into pieces that neither overlap nor leave a gap."""
        check_chain(reopen, [lambda: add_rows(3), lambda: add_rows(1), lambda: add_rows(40)])

    def test_a_position_does_not_grow(
        self, source: Source, reopen: Callable[[], Source], add_rows: Callable[[int], None]
    ) -> None:
        """Rows that come after a position was taken are not in it."""
        position = kept(source.position())
        before = row_counts(source, position)
        add_rows(2)
        assert row_counts(reopen(), position) == before

    def test_a_later_position_can_be_resumed(
        self, source: Source, reopen: Callable[[], Source], add_rows: Callable[[int], None]
    ) -> None:
        """Reading what is new goes on after each batch, too."""
        first = kept(source.position())
        add_rows(20)
        second = kept(reopen().position(first))
        check_resume(reopen(), second)

    def test_ties_are_told_once(
        self,
        reopen: Callable[[], Source],
        add_rows: Callable[[int], None],
        add_tied_rows: Callable[[int], None] | None,
    ) -> None:
        """Rows at the very place where the last read ended are neither lost nor doubled."""
        if add_tied_rows is None:
            return
        check_chain(reopen, [lambda: add_tied_rows(2), lambda: add_rows(2), lambda: add_tied_rows(3)])

    def test_late_rows_are_told_once(
        self,
        reopen: Callable[[], Source],
        add_rows: Callable[[int], None],
        add_late_rows: Callable[[int], None] | None,
    ) -> None:
        """Rows that sort before what was read are told when they come."""
        if add_late_rows is None:
            return
        check_chain(reopen, [lambda: add_late_rows(1), lambda: add_rows(5), lambda: add_late_rows(2)])

    def test_a_late_row_does_not_change_what_was_told(
        self, source: Source, reopen: Callable[[], Source], add_late_rows: Callable[[int], None] | None
    ) -> None:
        """A position that was taken gives the same rows after a late one has come."""
        if add_late_rows is None:
            return
        position = kept(source.position())
        before = row_counts(source, position)
        add_late_rows(1)
        assert row_counts(reopen(), position) == before
        assert row_counts(reopen(), kept(reopen().position(position))).total() == 1


def check_chain(reopen: Callable[[], Source], changes: Sequence[Callable[[], None]]) -> None:
    """Take a position after each change: its rows are those that a fresh look finds besides the earlier ones."""
    position = kept(reopen().position())
    seen = row_counts(reopen(), position)
    for change in changes:
        change()
        position = kept(reopen().position(position))
        seen += row_counts(reopen(), position)
        assert seen == row_counts(reopen(), kept(reopen().position()))
        assert reopen().position(position) is None


def check_resume(source: Source, position: Any) -> None:
    """Read `position` on from the end of each batch, or anew where that cannot be: no row is lost or doubled."""
    everything = _all_rows(source, position)
    done = 0
    for batch in source.read(position):
        done += batch.rows.num_rows
        left = everything if batch.resume is None else everything.slice(done)
        assert left.equals(_all_rows(source, position, kept(batch.resume)))


def check_cancel(source: Source, position: Any) -> None:
    """Stop reading after the first batch, as a stopped task does: its threads end, and all can be read afterwards."""
    before = set(threading.enumerate())
    reading = source.read(position)
    next(reading)
    cast("Generator[SourceBatch]", reading).close()
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("Dummy-"):
            # A library's own, which called Python once and belongs to its pool.
            continue
        thread.join(THREADS_END_S)
        assert not thread.is_alive(), f"the thread {thread.name} outlives the read"
    assert _all_rows(source, position).num_rows


def peak_buffered_bytes(source: Source, position: Any) -> int:
    """Read everything, keeping nothing; return the most bytes of Arrow memory that were held at once."""
    held = pa.total_allocated_bytes()
    peak = 0
    for batch in source.read(position):
        peak = max(peak, pa.total_allocated_bytes() - held)
        del batch
    return peak


def kept(document: Any) -> Any:
    """Return what is left of a position once the store has had it."""
    return json.loads(json.dumps(document))


def row_counts(source: Source, position: Any) -> Counter[str]:
    """Return how often each row is read at `position`."""
    rows = _all_rows(source, position).to_pylist()
    return Counter(json.dumps(row, sort_keys=True, default=str) for row in rows)


def _all_rows(source: Source, position: Any, resume: Any = None) -> pa.Table:
    found = [batch.rows for batch in source.read(position, resume)]
    return pa.concat_tables([source.schema(position).empty_table(), *found]).combine_chunks()

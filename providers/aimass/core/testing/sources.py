"""A source in memory that can fail on purpose, and the contract that every source keeps."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from pydantic import Field

from aimass.core import settings
from aimass.core.errors import EmptyDataError, UnreachableError
from aimass.core.sources.base import Source, SourceBatch
from aimass.core.sources.rejects import SCHEMA as REJECTS

if TYPE_CHECKING:
    from aimass.core.deps import Deps


class MemorySettings(settings.Settings):
    """What the source in memory holds, and how often it fails."""

    rows: int = Field(default=1_000, ge=0, description="Number of rows; row i is (i, 'text i').")
    rows_per_batch: int = Field(default=100, ge=1, description="Rows of one batch.")
    reject_every: int = Field(default=0, ge=0, description="Every how many rows one is kept aside; 0 for none.")
    failure_probability: float = Field(
        default=0.0, ge=0, le=1, description="Probability that a batch is not delivered but UnreachableError raised."
    )
    seed: int = Field(default=0, description="Seed of the failures.")


class MemorySource:
    """Numbered rows made on the spot."""

    Settings: ClassVar[type[settings.Settings]] = MemorySettings

    def __init__(self, settings: MemorySettings, deps: Deps) -> None:
        self.settings = settings
        self._deps = deps
        self._chance = random.Random(settings.seed)

    def position(self, since: Any = None) -> dict[str, int]:
        """Return the number of rows."""
        return {"rows": self.settings.rows}

    def schema(self, position: Any) -> pa.Schema:
        """Return the two columns."""
        if not position["rows"]:
            raise EmptyDataError("The source in memory has no rows", expected="rows of 1 or more")
        return pa.schema([("number", pa.int64()), ("text", pa.large_string())])

    def read(self, position: Any, resume: Any = None) -> Iterator[SourceBatch]:
        """Yield the rows after `resume`; each batch may fail."""
        self._deps.check_read("memory-source://")
        schema = self.schema(position)
        for start in range(resume or 0, position["rows"], self.settings.rows_per_batch):
            if self._chance.random() < self.settings.failure_probability:
                raise UnreachableError(f"The source in memory failed before row {start}, as its settings wish")
            stop = min(start + self.settings.rows_per_batch, position["rows"])
            bad = [i for i in range(start, stop) if self.settings.reject_every and i % self.settings.reject_every == 0]
            good = sorted(set(range(start, stop)) - set(bad))
            rows = pa.table([good, [f"text {i}" for i in good]], schema=schema)
            rejects = pa.table(
                [[f"row {i}" for i in bad], ["unwanted"] * len(bad), [str(i) for i in bad]], schema=REJECTS
            )
            yield SourceBatch(rows=rows, resume=stop, rejects=rejects if bad else None)


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
        position = source.position()
        everything = _all_rows(source, position)
        done = 0
        for batch in source.read(position):
            done += batch.rows.num_rows
            resume = json.loads(json.dumps(batch.resume))
            assert everything.slice(done).equals(_all_rows(source, position, resume))

    def test_rejects_say_where_and_why(self, source: Source) -> None:
        """Rejected rows carry place, reason and raw text."""
        for batch in source.read(source.position()):
            if batch.rejects is not None:
                assert batch.rejects.schema.equals(REJECTS)
                assert all(row["where"] and row["reason"] for row in batch.rejects.to_pylist())


def _all_rows(source: Source, position: Any, resume: Any = None) -> pa.Table:
    found = [batch.rows for batch in source.read(position, resume)]
    return pa.concat_tables([source.schema(position).empty_table(), *found]).combine_chunks()

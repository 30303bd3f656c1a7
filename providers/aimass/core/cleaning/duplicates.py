"""Drop training rows that were there before."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from aimass.core import settings
from aimass.core.cleaning.base import ROW, Cleaning, StepReport
from aimass.core.datasets import batches
from aimass.core.errors import missing_column

SEEDS = (17, 29)
Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.uint32]


class DuplicatesSettings(settings.Settings):
    """Settings of the step `duplicates`."""

    columns: tuple[str, ...] | None = Field(
        default=None,
        description="Rows that agree in these are duplicates; in all columns, also id, time and target, when left out.",
    )


class Duplicates:
    """The first of equal training rows stays."""

    Settings = DuplicatesSettings

    def __init__(self, settings: Any) -> None:
        self.settings: DuplicatesSettings = settings

    def apply(self, work: Cleaning) -> list[StepReport]:
        """Find the duplicates in two passes and filter them out."""
        known = [name for name in work.train.collect_schema().names() if name != ROW]
        columns = list(self.settings.columns or known)
        for column in columns:
            if column not in known:
                raise missing_column(column, known, where="the rows")
        repeated = find_repeated(work.train.select([ROW, *columns]))
        dropped = work.keep_rows(_is_none_of(repeated)) if repeated.size else 0
        return [StepReport(step="duplicates", rows_dropped=dropped)]


def _is_none_of(rows: Rows) -> pl.Expr:
    """Return whether a row's number is not among the sorted `rows`; `is_in` would hash them all for each slice."""
    known = pl.lit(pl.Series(rows))
    place = known.search_sorted(pl.col(ROW)).clip(upper_bound=rows.size - 1)
    return known.gather(place) != pl.col(ROW)


def find_repeated(frame: pl.LazyFrame) -> Rows:
    """Return the numbers (column `ROW`) of the rows that equal an earlier row in all other columns, in order.

    Notes
    -----
    Two passes over 128-bit hashes. The first keeps 8 bytes a row and sorts them (16 bytes a row at its peak: 48 MB for
    3 million rows); the second looks at the second half of the hash only where the first half is repeated. Two
    different rows would have to agree in all 128 bits to be taken for one.
    """
    firsts = [_hashes(batch, SEEDS[0]) for batch in batches(frame)]
    if not firsts:
        return np.empty(0, dtype=np.uint32)
    ordered = np.concatenate(firsts)
    del firsts
    ordered.sort()
    suspects = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    return _confirm(frame, suspects)


def _confirm(frame: pl.LazyFrame, suspects: Hashes) -> Rows:
    """Return the rows whose whole hash was there before; `suspects` are the sorted first halves that repeat."""
    if not suspects.size:
        return np.empty(0, dtype=np.uint32)
    seen = _Seen(suspects.size)
    repeated = [np.empty(0, dtype=np.uint32)]
    for batch in batches(frame):
        first = _hashes(batch, SEEDS[0])
        place = np.minimum(np.searchsorted(suspects, first), suspects.size - 1)
        is_doubtful = suspects[place] == first
        doubtful = batch.filter(pl.Series(is_doubtful))
        if doubtful.height:
            was_there = seen.add(place[is_doubtful], _hashes(doubtful, SEEDS[1]))
            repeated.append(doubtful[ROW].to_numpy()[was_there])
    return np.concatenate(repeated)


class _Seen:
    """Which second halves of a hash were seen with each repeated first half: 9 bytes for each of these."""

    def __init__(self, size: int) -> None:
        self._second = np.zeros(size, dtype=np.uint64)
        self._is_known = np.zeros(size, dtype=bool)
        # Different rows that agree in one half: next to none.
        self._others: set[tuple[int, int]] = set()

    def add(self, place: npt.NDArray[np.intp], second: Hashes) -> npt.NDArray[np.bool_]:
        """Take note of rows, in order; return which of them were there before."""
        halves, first_rows = np.unique(place, return_index=True)
        fresh = first_rows[~self._is_known[halves]]
        self._second[place[fresh]] = second[fresh]
        self._is_known[place[fresh]] = True
        was_there: npt.NDArray[np.bool_] = self._second[place] == second
        for row in np.flatnonzero(~was_there):
            pair = (int(place[row]), int(second[row]))
            was_there[row] = pair in self._others
            self._others.add(pair)
        was_there[fresh] = False
        return was_there


def _hashes(batch: pl.DataFrame, seed: int) -> Hashes:
    return batch.drop(ROW).hash_rows(seed=seed).to_numpy()

"""Drop training rows that were there before."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from aimass.core import settings
from aimass.core.cleaning.base import Cleaning, StepReport
from aimass.core.datasets import batches
from aimass.core.errors import missing_column

ROW = "\nrow"
SEEDS = (17, 29)
Hashes = npt.NDArray[np.uint64]


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
        known = work.train.collect_schema().names()
        columns = list(self.settings.columns or known)
        for column in columns:
            if column not in known:
                raise missing_column(column, known, where="the rows")
        repeated = find_repeated(work.train.select(columns))
        if not repeated.size:
            return [StepReport(step="duplicates")]
        gone = pl.Series(repeated, dtype=pl.UInt32)
        dropped = work.keep_rows(
            lambda frame: frame.with_row_index(ROW).filter(~pl.col(ROW).is_in(gone.implode())).drop(ROW)
        )
        return [StepReport(step="duplicates", rows_dropped=dropped)]


def find_repeated(frame: pl.LazyFrame) -> npt.NDArray[np.int64]:
    """Return the numbers of the rows that equal an earlier row.

    Notes
    -----
    Two passes over 128-bit hashes. The first keeps 8 bytes a row and sorts them (16 bytes a row at its peak: 48 MB for
    3 million rows); the second looks at the second half of the hash only where the first half is repeated. Two
    different rows would have to agree in all 128 bits to be taken for one.
    """
    firsts = [_hashes(batch, SEEDS[0]) for batch in batches(frame)]
    if not firsts:
        return np.empty(0, dtype=np.int64)
    ordered = np.concatenate(firsts)
    del firsts
    ordered.sort()
    suspects = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    return _confirm(frame, suspects) if suspects.size else np.empty(0, dtype=np.int64)


def _confirm(frame: pl.LazyFrame, suspects: Hashes) -> npt.NDArray[np.int64]:
    seen: set[tuple[int, int]] = set()
    repeated: list[int] = []
    start = 0
    for batch in batches(frame):
        first = _hashes(batch, SEEDS[0])
        place = np.minimum(np.searchsorted(suspects, first), suspects.size - 1)
        rows = np.flatnonzero(suspects[place] == first)
        second = _hashes(batch[rows], SEEDS[1]) if rows.size else first[:0]
        for row, pair in zip(rows.tolist(), zip(first[rows].tolist(), second.tolist(), strict=True), strict=True):
            if pair in seen:
                repeated.append(start + row)
            seen.add(pair)
        start += batch.height
    return np.asarray(repeated, dtype=np.int64)


def _hashes(batch: pl.DataFrame, seed: int) -> Hashes:
    return batch.hash_rows(seed=seed).to_numpy()

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
        dropped = work.keep_rows(~pl.col(ROW).is_in(pl.Series(repeated, dtype=pl.UInt32).implode())) if repeated else 0
        return [StepReport(step="duplicates", rows_dropped=dropped)]


def find_repeated(frame: pl.LazyFrame) -> list[int]:
    """Return the numbers (column `ROW`) of the rows that equal an earlier row in all other columns.

    Notes
    -----
    Two passes over 128-bit hashes. The first keeps 8 bytes a row and sorts them (16 bytes a row at its peak: 48 MB for
    3 million rows); the second looks at the second half of the hash only where the first half is repeated. Two
    different rows would have to agree in all 128 bits to be taken for one.
    """
    firsts = [_hashes(batch, SEEDS[0]) for batch in batches(frame)]
    if not firsts:
        return []
    ordered = np.concatenate(firsts)
    del firsts
    ordered.sort()
    suspects = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    return _confirm(frame, suspects) if suspects.size else []


def _confirm(frame: pl.LazyFrame, suspects: Hashes) -> list[int]:
    seen: set[tuple[int, int]] = set()
    repeated: list[int] = []
    for batch in batches(frame):
        first = _hashes(batch, SEEDS[0])
        place = np.minimum(np.searchsorted(suspects, first), suspects.size - 1)
        doubtful = batch.filter(pl.Series(suspects[place] == first))
        if doubtful.height:
            pairs = zip(*(_hashes(doubtful, seed).tolist() for seed in SEEDS), strict=True)
            for row, pair in zip(doubtful[ROW].to_list(), pairs, strict=True):
                if pair in seen:
                    repeated.append(row)
                seen.add(pair)
    return repeated


def _hashes(batch: pl.DataFrame, seed: int) -> Hashes:
    return batch.drop(ROW).hash_rows(seed=seed).to_numpy()

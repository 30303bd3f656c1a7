"""Drop columns that are too empty, and training rows that are."""

from __future__ import annotations

from typing import Any

import polars as pl
from pydantic import Field

from aimass.core import settings
from aimass.core.cleaning.base import Cleaning, StepReport
from aimass.core.features.statistics import missing_counts


class MissingSettings(settings.Settings):
    """Settings of the step `missing`."""

    columns: tuple[str, ...] | None = Field(default=None, description="The columns; all feature columns when left out.")
    max_column_share: float = Field(
        default=0.95, ge=0, le=1, description="A column that misses a greater share of the training rows is dropped."
    )
    max_row_share: float | None = Field(
        default=None, ge=0, le=1, description="A training row that misses a greater share of the columns is dropped."
    )


class Missing:
    """Gaps that remain are for `fill`, here or among the features."""

    Settings = MissingSettings

    def __init__(self, settings: Any) -> None:
        self.settings: MissingSettings = settings

    def apply(self, work: Cleaning) -> list[StepReport]:
        """Drop columns first, then rows."""
        names = [column.name for column in work.columns(self.settings.columns)]
        gone = self._drop_columns(work, names)
        left = [name for name in names if name not in gone]
        dropped = 0
        if self.settings.max_row_share is not None and left:
            gaps = pl.sum_horizontal([pl.col(name).is_null() for name in left]) / len(left)
            dropped = work.keep_rows(gaps <= self.settings.max_row_share)
        return [StepReport(step="missing", columns=gone, rows_dropped=dropped)]

    def _drop_columns(self, work: Cleaning, names: list[str]) -> list[str]:
        rows, gone = max(1, work.train_rows()), []
        counts = missing_counts(work.train, names) if names else []
        for name, missing in zip(names, counts, strict=True):
            if missing / rows > self.settings.max_column_share:
                work.drop_column(name, f"missing in {missing:,} of {rows:,} training rows")
                gone.append(name)
        return gone

"""Split by time: the oldest rows train, the newest test."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl
from pydantic import Field

from aimass.core import settings
from aimass.core.datasets import collect
from aimass.core.errors import DataError, SchemaMismatchError
from aimass.core.splitting.base import Codes, ShareSettings, by_thresholds, thresholds


class TimeSettings(ShareSettings):
    """Settings of a split by time."""

    column: str = Field(description="The time, date or number that orders the rows.")


class TimeSplitter:
    """Rows of the same moment stay together, on the later side of a boundary."""

    Settings: ClassVar[type[settings.Settings]] = TimeSettings

    def __init__(self, settings: TimeSettings) -> None:
        self.settings = settings

    def columns(self) -> list[str]:
        """Return the time column."""
        return [self.settings.column]

    def fit(self, frame: pl.LazyFrame, n_rows: int) -> dict[str, Any]:
        """Find the moments at which validation and test begin."""
        name = self.settings.column
        kind = frame.collect_schema()[name]
        if not (kind.is_temporal() or kind.is_numeric()):
            raise SchemaMismatchError(
                f"The time column {name!r} is of type {kind}",
                expected="a timestamp, a date or a number",
                hint=f"Set `types` of the source: {{{name}: timestamp}}",
                column=name,
            )
        values = collect(frame.select(pl.col(name).to_physical()))[name]
        if values.null_count():
            raise DataError(
                f"The time column {name!r} is null in {values.null_count():,} of {n_rows:,} rows",
                expected="a time in every row",
                hint=f"Set the join's `where` to `{name} IS NOT NULL`, or split by another rule",
                column=name,
            )
        self.validation_from_, self.test_from_ = thresholds(values.to_numpy(), self.settings)
        moments = pl.Series([self.validation_from_, self.test_from_], dtype=values.dtype).cast(kind).to_list()
        return {"column": name, "validation_from": _shown(moments[0]), "test_from": _shown(moments[1])}

    def assign(self, batch: pl.DataFrame, first_row: int) -> Codes:
        """Compare each row's time with the boundaries."""
        values = batch[self.settings.column].to_physical().to_numpy()
        return by_thresholds(values, self.validation_from_, self.test_from_)


def _shown(moment: Any) -> Any:
    return moment.isoformat() if hasattr(moment, "isoformat") else moment

"""Clip numbers that are far out, or drop the training rows that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import polars as pl
from pydantic import Field

from aimass.core import settings
from aimass.core.cleaning.base import Cleaning, StepReport
from aimass.core.errors import SchemaMismatchError
from aimass.core.features.base import number
from aimass.core.features.statistics import iqr_bounds, quantiles


class OutliersSettings(settings.Settings):
    """Settings of the step `outliers`."""

    columns: tuple[str, ...] | None = Field(default=None, description="The columns; all number columns when left out.")
    method: Literal["iqr", "quantile"] = Field(
        default="iqr", description="Bounds by quartile distances beyond the quartiles, or by a quantile and its mirror."
    )
    multiple: float = Field(default=3.0, gt=0, description="How many quartile distances (iqr).")
    quantile: float = Field(default=0.001, gt=0, lt=0.5, description="Which quantile (quantile).")
    action: Literal["clip", "drop_rows"] = Field(
        default="clip", description="clip: a transform of the graph, for all rows; drop_rows: training rows only."
    )


class Outliers:
    """Bounds are learned from the training rows."""

    Settings = OutliersSettings

    def __init__(self, settings: Any) -> None:
        self.settings: OutliersSettings = settings

    def apply(self, work: Cleaning) -> list[StepReport]:
        """Clip or drop."""
        columns = work.columns(self.settings.columns, kinds=("float", "int"))
        for column in columns:
            if column.kind not in ("float", "int"):
                raise SchemaMismatchError(
                    f"Column {column.name!r} holds {column.kind} values and has no outliers",
                    expected="a number column",
                    column=column.name,
                )
        names = [column.name for column in columns]
        if not names:
            return [StepReport(step="outliers")]
        if self.settings.action == "clip":
            way = (
                {"iqr": self.settings.multiple}
                if self.settings.method == "iqr"
                else {"quantile": self.settings.quantile}
            )
            report = work.add_transform({"type": "clip", "columns": names, **way})
            return [report.model_copy(update={"step": "outliers"})]
        dropped = work.keep_rows(pl.all_horizontal(self._inside(work, names)))
        return [StepReport(step="outliers", columns=names, rows_dropped=dropped)]

    def _inside(self, work: Cleaning, names: list[str]) -> list[pl.Expr]:
        """Return, for each column, whether a row's value lies inside the bounds or is missing."""
        bounds: Sequence[Sequence[float | None]]
        if self.settings.method == "iqr":
            bounds = iqr_bounds(work.train, names, self.settings.multiple)
        else:
            bounds = quantiles(work.train, names, (self.settings.quantile, 1 - self.settings.quantile))
        return [
            number(name).is_between(low, high).fill_null(value=True)
            for name, (low, high) in zip(names, bounds, strict=True)
            if low is not None and high is not None
        ] or [pl.lit(value=True)]

"""Clip numbers to bounds that are given, or learned from the training rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from aimass.core.features.base import NUMBERS, Transform, TransformSettings, Variable, number
from aimass.core.features.onnx_builder import GraphBuilder
from aimass.core.features.statistics import iqr_bounds, quantiles

if TYPE_CHECKING:
    import polars as pl

NO_BOUND = 1.7976931348623157e308
"""The greatest float64 stands for "no bound", since JSON has no infinity."""


class ClipSettings(TransformSettings):
    """Settings of the transform `clip`: fixed bounds, or quantiles, or a multiple of the quartiles' distance."""

    low: float | None = Field(default=None, allow_inf_nan=False, description="Least value.")
    high: float | None = Field(default=None, allow_inf_nan=False, description="Greatest value.")
    quantile: float | None = Field(
        default=None,
        gt=0,
        lt=0.5,
        description="Clip to this quantile of the training rows and its mirror (0.01: 1 to 99 %).",
    )
    iqr: float | None = Field(
        default=None,
        gt=0,
        description="Clip to so many quartile distances below and above the quartiles (often 1.5 or 3).",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [self.low is not None or self.high is not None, self.quantile is not None, self.iqr is not None]
        if sum(ways) != 1:
            raise ValueError("give either low and/or high, or quantile, or iqr")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high})")
        return self


class Clip(Transform):
    """The nearest value inside the bounds; what is missing stays missing."""

    Settings = ClipSettings
    accepts = NUMBERS

    def _learn(self, frame: pl.LazyFrame) -> None:
        bounds = self._bounds(frame)
        self.low_ = [_bound(low, -NO_BOUND) for low, _ in bounds]
        self.high_ = [_bound(high, NO_BOUND) for _, high in bounds]

    def _bounds(self, frame: pl.LazyFrame) -> Sequence[Sequence[float | None]]:
        settings = self.settings
        if settings.quantile is not None:
            return quantiles(frame, self.names, (settings.quantile, 1 - settings.quantile))
        if settings.iqr is not None:
            return iqr_bounds(frame, self.names, settings.iqr)
        return [(settings.low, settings.high)] * len(self.names)

    def outputs(self) -> list[Variable]:
        """Return the same columns, as floats."""
        return [Variable(column.name, "float", column.nullable) for column in self.variables]

    def expressions(self) -> list[pl.Expr]:
        """Return one expression per column."""
        triples = zip(self.names, self.low_, self.high_, strict=True)
        return [number(name).clip(low, high).alias(name) for name, low, high in triples]

    def nodes(self, builder: GraphBuilder) -> None:
        """Add a maximum and a minimum for all columns."""
        raised = builder.op("Max", builder.numbers(self.names), builder.column(self.low_))
        builder.set_numbers(self.names, builder.op("Min", raised, builder.column(self.high_)))


def _bound(value: float | None, without: float) -> float:
    return value if value is not None and math.isfinite(value) else without

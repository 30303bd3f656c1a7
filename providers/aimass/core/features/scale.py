"""Scale numbers: standard score, 0 to 1, or by median and quartiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from aimass.core.features.base import NUMBERS, Transform, TransformSettings, Variable, number
from aimass.core.features.onnx_builder import GraphBuilder
from aimass.core.features.statistics import extremes, moments, quantiles

if TYPE_CHECKING:
    import polars as pl


class ScaleSettings(TransformSettings):
    """Settings of the transform `scale`."""

    method: Literal["standard", "min_max", "robust"] = Field(
        default="standard",
        description="standard: minus mean, over standard deviation; min_max: to 0..1 over the training range; "
        "robust: minus median, over the distance of the quartiles.",
    )


class Scale(Transform):
    """``(x - center) * factor``; a column without spread is only centred.

    Multiplication by the inverted spread, since polars turns a division by a constant into just that.
    """

    Settings = ScaleSettings
    accepts = NUMBERS

    def _learn(self, frame: pl.LazyFrame) -> None:
        pairs = [_finite(center, spread) for center, spread in self._centers_and_spreads(frame)]
        self.center_ = [center for center, _ in pairs]
        self.factor_ = [factor for _, factor in pairs]

    def _centers_and_spreads(self, frame: pl.LazyFrame) -> list[tuple[float, float]]:
        if self.settings.method == "standard":
            return [(found.mean, found.std) for found in moments(frame, self.names)]
        if self.settings.method == "min_max":
            bounds = extremes([frame.select([number(name) for name in self.names])], self.names)
            return [(low or 0.0, (high or 0.0) - (low or 0.0)) for low, high in bounds]
        found = quantiles(frame, self.names, (0.25, 0.5, 0.75))
        return [(middle or 0.0, (high or 0.0) - (low or 0.0)) for low, middle, high in found]

    def outputs(self) -> list[Variable]:
        """Return the same columns, as floats."""
        return [Variable(column.name, "float", column.nullable) for column in self.variables]

    def expressions(self) -> list[pl.Expr]:
        """Return one expression per column."""
        triples = zip(self.names, self.center_, self.factor_, strict=True)
        return [((number(name) - center) * factor).alias(name) for name, center, factor in triples]

    def nodes(self, builder: GraphBuilder) -> None:
        """Add a subtraction and a multiplication for all columns."""
        centred = builder.op("Sub", builder.numbers(self.names), builder.column(self.center_))
        builder.set_numbers(self.names, builder.op("Mul", centred, builder.column(self.factor_)))

    def invert(self, name: str, values: Sequence[float]) -> tuple[str, list[float]]:
        """Return the values before scaling."""
        index = self.names.index(name)
        return name, [value / self.factor_[index] + self.center_[index] for value in values]


def _finite(center: float, spread: float) -> tuple[float, float]:
    """Return centre and factor, neutral where numbers near the end of float64 overflow or the spread is nil."""
    factor = 1.0 / spread if spread > 0 and math.isfinite(spread) else 1.0
    return (center if math.isfinite(center) else 0.0), (factor if math.isfinite(factor) else 1.0)

"""Natural logarithm of a shifted number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
from onnx import TensorProto
from pydantic import Field

from aimass.core.features.base import NUMBERS, Transform, TransformSettings, Variable, number
from aimass.core.features.onnx_builder import GraphBuilder


class LogSettings(TransformSettings):
    """Settings of the transform `log`."""

    offset: float = Field(default=1.0, allow_inf_nan=False, description="Added before the logarithm is taken.")


class Log(Transform):
    """``log(x + offset)``; missing where ``x + offset`` is not above 0."""

    Settings = LogSettings
    accepts = NUMBERS

    def _learn(self, frame: pl.LazyFrame) -> None:
        """Nothing is learned."""

    def outputs(self) -> list[Variable]:
        """Return the same columns, as floats that may be missing."""
        return [Variable(name, "float") for name in self.names]

    def expressions(self) -> list[pl.Expr]:
        """Return one expression per column."""
        shifted = {name: number(name) + self.settings.offset for name in self.names}
        return [pl.when(x.cast(pl.Float32) > 0).then(x.log()).alias(name) for name, x in shifted.items()]

    def nodes(self, builder: GraphBuilder) -> None:
        """Add the logarithm of all columns."""
        x = builder.op("Add", builder.numbers(self.names), builder.constant(self.settings.offset))
        rounded = builder.op("Cast", x, to=TensorProto.FLOAT)
        positive = builder.op("Greater", rounded, builder.constant(0.0, np.float32))
        result = builder.op("Where", positive, builder.op("Log", x), builder.constant(np.nan))
        builder.set_numbers(self.names, result)

    def invert(self, name: str, values: Sequence[float]) -> tuple[str, list[float]]:
        """Return the values before the logarithm."""
        return name, [math.exp(min(value, 700.0)) - self.settings.offset for value in values]

"""Fill what is missing, and remember where it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from onnx import TensorProto
from pydantic import Field, model_validator

from aimass.core.errors import ConfigError
from aimass.core.features.base import NUMBERS, Transform, TransformSettings, Variable, indicator_name, number
from aimass.core.features.onnx_builder import GraphBuilder
from aimass.core.features.statistics import missing_counts, moments, quantiles, value_counts
from aimass.core.reserved import NULL_STRING

EMPTY = "(missing)"
"""Fills a text column that has no value at all in the training rows."""


class FillSettings(TransformSettings):
    """Settings of the transform `fill`."""

    strategy: Literal["median", "mean", "most_frequent", "constant"] = Field(
        default="median", description="What fills: learned from the training rows, or `value` (constant)."
    )
    value: float | str | None = Field(default=None, description="What fills under the strategy constant.")
    indicator: Literal["seen", "always", "never"] = Field(
        default="seen",
        description="Whether <name>_missing (0 or 1) is added: where training rows miss values, always, or never.",
    )

    @model_validator(mode="after")
    def _value_belongs_to_constant(self) -> Self:
        if (self.strategy == "constant") != (self.value is not None):
            raise ValueError("`value` is given with the strategy constant, and only with it")
        return self


class Fill(Transform):
    """Numbers take the training rows' median, mean or most frequent value; text the most frequent or a constant."""

    Settings = FillSettings
    accepts = (*NUMBERS, "string")

    def _learn(self, frame: pl.LazyFrame) -> None:
        self.value_: list[Any] = self._fillers(frame)
        asked, counts = self.settings.indicator, missing_counts(frame, self.names)
        self.marked_ = [
            name
            for name, missing in zip(self.names, counts, strict=True)
            if asked == "always" or (asked == "seen" and missing)
        ]

    def _fillers(self, frame: pl.LazyFrame) -> list[float | str]:
        strategy = self.settings.strategy
        if strategy == "constant":
            return [self._constant(column) for column in self.variables]
        if strategy == "most_frequent":
            pairs = zip(self.variables, value_counts(frame, self.names), strict=True)
            return [_most_frequent(counts, is_text=column.kind == "string") for column, counts in pairs]
        for column in self.variables:
            if column.kind == "string":
                raise ConfigError(
                    f"The text column {column.name!r} has no {strategy}",
                    expected="strategy most_frequent, or constant with a value",
                    column=column.name,
                )
        if strategy == "mean":
            return [found.mean if np.isfinite(found.mean) else 0.0 for found in moments(frame, self.names)]
        return [median or 0.0 for (median,) in quantiles(frame, self.names, (0.5,))]

    def _constant(self, column: Variable) -> float | str:
        value = self.settings.value
        if isinstance(value, str) != (column.kind == "string"):
            raise ConfigError(
                f"{column.name!r} holds {column.kind} values and cannot be filled with {value!r}",
                expected="a text for a text column, a number for a number column",
                column=column.name,
            )
        return value if isinstance(value, str) else float(value)

    def outputs(self) -> list[Variable]:
        """Return the same columns, never missing, and the indicators."""
        filled = [Variable(c.name, "string" if c.kind == "string" else "float", nullable=False) for c in self.variables]
        return filled + [Variable(indicator_name(name), "float", nullable=False) for name in self.marked_]

    def expressions(self) -> list[pl.Expr]:
        """Return one expression per column and indicator."""
        pairs = zip(self.variables, self.value_, strict=True)
        filled = [
            (pl.col(c.name) if c.kind == "string" else number(c.name)).fill_null(value).alias(c.name)
            for c, value in pairs
        ]
        marks = [pl.col(name).is_null().cast(pl.Float64).alias(indicator_name(name)) for name in self.marked_]
        return filled + marks

    def nodes(self, builder: GraphBuilder) -> None:
        """Add one choice for all numbers, and one per text column."""
        fillers = dict(zip(self.names, self.value_, strict=True))
        numbers = [column.name for column in self.variables if column.kind != "string"]
        if numbers:
            matrix = builder.numbers(numbers)
            missing = builder.op("IsNaN", matrix)
            self._mark(builder, [name for name in numbers if name in self.marked_], numbers, missing)
            filled = builder.op("Where", missing, builder.column([fillers[name] for name in numbers]), matrix)
            builder.set_numbers(numbers, filled)
        for name in [column.name for column in self.variables if column.kind == "string"]:
            text = builder.strings(name)
            missing = builder.op("Equal", text, builder.constant([NULL_STRING], object))
            self._mark(builder, [name] if name in self.marked_ else [], [name], missing)
            builder.set_strings(name, builder.op("Where", missing, builder.constant([fillers[name]], object), text))

    def _mark(self, builder: GraphBuilder, marked: list[str], names: list[str], missing: str) -> None:
        """Give the columns `marked`, some of `names`, their indicators from the boolean tensor `missing`."""
        if not marked:
            return
        rows = builder.op("Reshape", missing, builder.ints([len(names), -1]))
        if marked != names:
            rows = builder.op("Gather", rows, builder.ints([names.index(name) for name in marked]), axis=0)
        matrix = builder.op("Cast", rows, to=TensorProto.DOUBLE)
        builder.set_numbers([indicator_name(name) for name in marked], matrix)


def _most_frequent(counts: Sequence[tuple[Any, int]], *, is_text: bool) -> float | str:
    if is_text:
        return str(counts[0][0]) if counts else EMPTY
    return float(counts[0][0]) if counts else 0.0

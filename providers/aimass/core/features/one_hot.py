"""One column of 0 and 1 for each category."""

from __future__ import annotations

import polars as pl
from onnx import TensorProto
from pydantic import Field

from aimass.core.features.base import Variable
from aimass.core.features.categories import CategorySettings, CategoryTransform, category_label
from aimass.core.features.onnx_builder import GraphBuilder


class OneHotSettings(CategorySettings):
    """Settings of the transform `one_hot`."""

    max_categories: int = Field(
        default=30,
        ge=1,
        le=10_000,
        description="At most so many categories get a column, the most frequent; the rest are rare.",
    )


class OneHot(CategoryTransform):
    """``origin=JFK`` is 1 where the origin is JFK.

    ``origin=(rare)`` exists when training rows were rare, and then also marks unseen values; ``origin=(missing)``
    exists when training rows missed the value. Where those columns do not exist, such a row is 0 everywhere.
    """

    Settings = OneHotSettings

    def _positions(self, index: int) -> list[int]:
        """Return the positions that get a column."""
        return [place for place, rows in enumerate(self.rows_[index]) if rows or place < len(self.categories_[index])]

    def _names(self, index: int) -> list[str]:
        labels = [*map(category_label, self.categories_[index]), "(rare)", "(missing)"]
        return [f"{self.names[index]}={labels[place]}" for place in self._positions(index)]

    def outputs(self) -> list[Variable]:
        """Return the columns of 0 and 1."""
        return [Variable(name, "float", nullable=False) for i in range(len(self.names)) for name in self._names(i)]

    def expressions(self) -> list[pl.Expr]:
        """Return one comparison per category."""
        return [
            (self._position(index) == place).cast(pl.Float64).alias(name)
            for index in range(len(self.names))
            for place, name in zip(self._positions(index), self._names(index), strict=True)
        ]

    def nodes(self, builder: GraphBuilder) -> None:
        """Add one comparison per column, for all its categories at once."""
        for index in range(len(self.names)):
            places = [[place] for place in self._positions(index)]
            if places:
                hits = builder.op("Equal", self._position_node(builder, index), builder.ints(places))
                builder.set_numbers(self._names(index), builder.op("Cast", hits, to=TensorProto.DOUBLE))

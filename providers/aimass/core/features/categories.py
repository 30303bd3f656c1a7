"""Categories of a column: learned once, found again on both engines by position."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from aimass.core.features.base import CATEGORIES, Transform, TransformSettings, Variable
from aimass.core.features.onnx_builder import GraphBuilder
from aimass.core.features.statistics import missing_counts, value_counts
from aimass.core.reserved import NULL_STRING

LONGEST_LABEL = 60


class CategorySettings(TransformSettings):
    """Settings shared by the transforms of categories."""

    max_categories: int = Field(
        default=100_000,
        ge=1,
        le=100_000,
        description="At most so many categories are kept, the most frequent; the rest are rare.",
    )
    min_rows: int = Field(default=1, ge=1, description="A category with fewer training rows is rare.")


class CategoryTransform(Transform):
    """Base of the transforms that turn a category into numbers.

    A value's position is its place in the learned order (most frequent first, equals in the order of the values);
    a rare or unseen value stands at position k = the number of categories, a missing one at k + 1.
    """

    accepts = CATEGORIES
    replaces = False

    def _learn(self, frame: pl.LazyFrame) -> None:
        self.categories_: list[list[Any]] = []
        # Training rows of each category, then of the rare ones together, then of the missing ones.
        self.rows_: list[list[int]] = []
        missing = missing_counts(frame, self.names)
        counted = value_counts(frame, self.names)
        for column, counts, without in zip(self.variables, counted, missing, strict=True):
            kept = self._kept(column, counts)
            rows = dict(counts)
            known = [rows.get(value, 0) for value in kept]
            self.categories_.append(kept)
            self.rows_.append([*known, sum(rows.values()) - sum(known), without])

    def _kept(self, column: Variable, counts: Sequence[tuple[Any, int]]) -> list[Any]:
        """Return the categories to keep, in their order."""
        del column
        enough = [value for value, rows in counts if rows >= self.settings.min_rows]
        return enough[: self.settings.max_categories]

    def _position(self, index: int) -> pl.Expr:
        """Return the polars expression of the position in column number `index`."""
        column, categories = pl.col(self.names[index]), self.categories_[index]
        k = len(categories)
        dtype = pl.String if self.variables[index].kind == "string" else pl.Int64
        keys, places = pl.Series(categories, dtype=dtype), pl.Series(range(k), dtype=pl.Int64)
        found = (
            column.replace_strict(keys, places, default=k, return_dtype=pl.Int64) if k else pl.lit(k, dtype=pl.Int64)
        )
        return pl.when(column.is_null()).then(pl.lit(k + 1, dtype=pl.Int64)).otherwise(found)

    def _position_node(self, builder: GraphBuilder, index: int) -> str:
        """Return the int64 tensor [N] of the position in column number `index`."""
        name, categories = self.names[index], self.categories_[index]
        k = len(categories)
        if self.variables[index].kind == "string":
            keys, places = [*categories, NULL_STRING], [*range(k), k + 1]
            return builder.label_encode(builder.strings(name), keys_strings=keys, values_int64s=places, default_int64=k)
        values, mask = builder.integers(name)
        keys, places = (categories, list(range(k))) if k else ([0], [0])
        found = builder.label_encode(values, keys_int64s=keys, values_int64s=places, default_int64=k)
        return builder.op("Where", mask, builder.ints(k + 1), found)


class TableTransform(CategoryTransform):
    """Base of the transforms that give each category one number, looked up by its position."""

    suffix: str

    def table(self, index: int) -> list[float]:
        """Return the numbers of column number `index`: one per category, then rare or unseen, then missing."""
        raise AssertionError("each transform says what its table holds")

    def outputs(self) -> list[Variable]:
        """Return one column for each, named after it."""
        return [Variable(f"{name}_{self.suffix}", "float", nullable=False) for name in self.names]

    def expressions(self) -> list[pl.Expr]:
        """Return one look-up per column."""
        return [self._looked_up(index).alias(output.name) for index, output in enumerate(self.outputs())]

    def _looked_up(self, index: int) -> pl.Expr:
        table = self.table(index)
        places = pl.Series(range(len(table)), dtype=pl.Int64)
        return self._position(index).replace_strict(places, pl.Series(table, dtype=pl.Float64), return_dtype=pl.Float64)

    def nodes(self, builder: GraphBuilder) -> None:
        """Add one look-up per column."""
        for index, output in enumerate(self.outputs()):
            table = builder.constant(np.asarray(self.table(index)))
            builder.set_vector(output.name, builder.op("Gather", table, self._position_node(builder, index)))


def category_label(value: Any) -> str:
    """Return a category as part of a feature's name: one line, at most 60 characters, still unique."""
    text = " ".join(str(value).split())
    if len(text) <= LONGEST_LABEL and text == str(value):
        return text
    return f"{text[:40]}…{hashlib.sha256(str(value).encode()).hexdigest()[:8]}"

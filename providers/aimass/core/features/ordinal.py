"""The place of a category in an order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from aimass.core.features.base import Variable
from aimass.core.features.categories import CategorySettings, TableTransform


class OrdinalSettings(CategorySettings):
    """Settings of the transform `ordinal`."""

    order: Literal["value", "frequency"] | tuple[str | int, ...] = Field(
        default="value", description="Sorted values, most frequent first, or the categories themselves in their order."
    )


class Ordinal(TableTransform):
    """0, 1, 2 … in the order of the categories; rare or unseen ones are k = their number, missing ones -1."""

    Settings = OrdinalSettings
    suffix = "ordinal"

    def _kept(self, column: Variable, counts: Sequence[tuple[Any, int]]) -> list[Any]:
        order = self.settings.order
        if not isinstance(order, str):
            return [value if column.kind == "string" else int(value) for value in order]
        kept = super()._kept(column, counts)
        return sorted(kept) if order == "value" else kept

    def table(self, index: int) -> list[float]:
        """Return the places."""
        k = len(self.categories_[index])
        return [*map(float, range(k + 1)), -1.0]

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
        if isinstance(order, str):
            return super()._kept(column, counts)
        return [str(value) if column.kind == "string" else int(value) for value in order]

    def table(self, index: int) -> list[float]:
        """Return the places."""
        categories = self.categories_[index]
        ordered = sorted(categories) if self.settings.order == "value" else categories
        place = {value: float(number) for number, value in enumerate(ordered)}
        return [*(place[value] for value in categories), float(len(categories)), -1.0]

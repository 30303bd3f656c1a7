"""Which documents of a collection are read, in which order, and as which columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aimass.core.sources.mongodb.columns import Column
from aimass.core.sources.mongodb.keys import Order
from aimass.core.sources.watermark import Watermark


@dataclass(frozen=True)
class Scope:
    """The documents of a watermark; without fields in its order, none.

    Attributes
    ----------
    order : Order
        By which key they are read.
    watermark : Watermark
        Which keys they have.
    columns : sequence of Column
        What their sample has.
    """

    order: Order = field(default_factory=lambda: Order(()))
    watermark: Watermark = field(default_factory=Watermark)
    columns: Sequence[Column] = ()

    def document(self) -> dict[str, Any]:
        """Return it for a position."""
        return {
            "key": self.order.document(),
            "watermark": self.watermark.model_dump(mode="json"),
            "columns": [column.document() for column in self.columns],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Scope:
        """Return the scope that a position describes."""
        return cls(
            Order.from_document(document["key"]),
            Watermark.model_validate(document["watermark"]),
            [Column.from_document(column) for column in document["columns"]],
        )

    def pieces(self, watermarks: Sequence[Watermark]) -> Iterator[Scope]:
        """Yield the scope with each of `watermarks` instead of its own."""
        return (replace(self, watermark=watermark) for watermark in watermarks)

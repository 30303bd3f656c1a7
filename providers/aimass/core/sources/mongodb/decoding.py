"""From BSON to Arrow, document by document: the rules; `lockstep` does the same for many at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import bson
import pyarrow as pa
from bson.errors import InvalidBSON

from aimass.core.sources.mongodb.columns import EXTRA, Node, Plan
from aimass.core.sources.mongodb.values import CODEC, MisfitError, described, to_json

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions


class LateFieldError(MisfitError):
    """A field that no column stands for.

    Attributes
    ----------
    field : str
        Its dotted name.
    """

    def __init__(self, field: str) -> None:
        super().__init__(f"field {field}: the sample does not have it")
        self.field = field


_LENIENT = CODEC.with_options(unicode_decode_error_handler="replace")


def decode_document(data: bytes) -> dict[str, Any]:
    """Return the document; raises MisfitError where its bytes are none, or a text in it is not UTF-8."""
    return _decoded(data, CODEC)


def look_into(data: bytes) -> dict[str, Any]:
    """Return the document, with what is not UTF-8 replaced: to see its key, or to show it to people."""
    return _decoded(data, _LENIENT)


def _decoded(data: bytes, codec: CodecOptions[dict[str, Any]]) -> dict[str, Any]:
    try:
        return bson.decode(data, codec)
    except (InvalidBSON, UnicodeDecodeError) as error:
        raise MisfitError("not valid text or not valid BSON") from error


def to_row(document: dict[str, Any], plan: Plan, root: Node) -> dict[str, Any]:
    """Return a document's values by their columns' names; columns without one are left out.

    Raises
    ------
    MisfitError
        A value does not fit its column.
    LateFieldError
        No column stands for a field, and the plan does not collect or ignore such fields.
    """
    row: dict[str, Any] = {}
    late: dict[str, Any] = {}
    for name, node, value in _leaves(document, root, ()):
        if node is None:
            late[name] = value
            continue
        if node.column < 0:
            raise MisfitError(f"field {name}: {described(value)} is not a document")
        column = plan.columns[node.column]
        try:
            row[column.name] = column.convert(value)
        except MisfitError as error:
            raise MisfitError(f"column {column.name}: {error}") from None
    if late and plan.extra in ("error", "reject"):
        raise LateFieldError(next(iter(late)))
    if late and plan.extra == "collect":
        row[EXTRA] = to_json(late)
    return row


def to_table(rows: Sequence[dict[str, Any]], plan: Plan) -> pa.Table:
    """Return rows as a table of the columns' natural types."""
    columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in plan.natural]
    return pa.table(columns, schema=plan.natural)


def _leaves(document: dict[str, Any], node: Node, path: tuple[str, ...]) -> Iterator[tuple[str, Node | None, Any]]:
    """Yield dotted name, node and value of every field that is not a document to look into; no node, no column."""
    for name, value in document.items():
        child = node.children.get(name)
        if child is not None and child.column < 0:
            if isinstance(value, dict):
                yield from _leaves(value, child, (*path, name))
            elif value is not None:
                yield ".".join((*path, name)), child, value
        else:
            yield ".".join((*path, name)), child, value

"""One row from a request's JSON straight into the memory that the model reads, for rows as most requests have them.

The decoder knows the signature: names and types are checked while the JSON is parsed, and four assignments put the
cells where the feeds look. It takes only what `RowEncoder` takes without a second look, and gives the same bits;
whatever else a body holds (more rows, a number as text, a mistake) is left to the encoder, which converts or refuses.
"""

from __future__ import annotations

import math
import struct
from typing import Annotated, Any, Final

import msgspec
import numpy as np

from aimass.core.errors import AimassError
from aimass.core.features.canonical_rows import Feeds, canonical_value, normalised_text
from aimass.core.features.raw import RawColumn
from aimass.core.features.row_encoder import Block, RowEncoder
from aimass.core.reserved import NULL_STRING

_NAN = math.nan
_Float = Annotated[float, msgspec.Meta(gt=-(2.0**63), lt=2.0**63)]
"""Beyond that range it matters whether the number was whole; only the encoder sees that."""
_Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

KNOWN_TEXTS: Final = 1024
"""Texts of a column whose canonical form is remembered."""
LONGEST_KNOWN: Final = 64


class OneRow:
    """Memory of one row: a block that is filled anew for each request, and the feeds that view it.

    Parameters
    ----------
    encoder : RowEncoder
        The model's.

    Attributes
    ----------
    block : Block
        The row; overwritten by the next `RowReader.read` or `copy`.
    feeds : dict of str to array
        What the session is fed: views into the block.
    """

    __slots__ = ("block", "feeds", "memory", "texts")

    def __init__(self, encoder: RowEncoder) -> None:
        n_strings, n_floats, n_ints = len(encoder.strings), len(encoder.floats), len(encoder.ints)
        self.texts = np.full(n_strings, NULL_STRING, dtype=object)
        numbers = np.zeros(n_floats + n_ints + (n_ints + 7) // 8)
        self.memory = memoryview(numbers).cast("B")  # type: ignore[arg-type]
        end = 8 * (n_floats + n_ints)
        self.block = Block(
            self.texts.reshape(-1, 1),
            numbers[:n_floats].reshape(-1, 1),
            numbers[n_floats : n_floats + n_ints].view(np.int64).reshape(-1, 1),
            numbers.view(np.bool_)[end : end + n_ints].reshape(-1, 1),
        )
        self.feeds: Feeds = encoder.feeds(self.block)

    def copy(self, block: Block) -> None:
        """Take over the row of another block."""
        for target, matrix in zip(self.block, block, strict=True):
            target[...] = matrix


class RowReader:
    """Reads bodies ``{"rows": [{…}]}`` of exactly one row.

    Parameters
    ----------
    encoder : RowEncoder
        The model's.
    """

    def __init__(self, encoder: RowEncoder) -> None:
        self._n_strings = len(encoder.strings)
        self._n_floats = len(encoder.floats)
        self._dates = [(at, column) for at, column in enumerate(encoder.ints) if column.kind == "date"]
        self._folds = [column.fold_case for column in encoder.strings]
        self._known: list[dict[str | None, str]] = [{None: NULL_STRING} for _ in encoder.strings]
        n_ints = len(encoder.ints)
        self._pack = struct.Struct(f"={self._n_floats}d{n_ints}q{n_ints}?").pack_into
        self._decoder = _decoder([*encoder.strings, *encoder.floats, *encoder.ints])

    def read(self, body: bytes, row: OneRow) -> bool:
        """Fill `row`; return False, and leave anything in it, where the encoder has to look at the body."""
        if self._decoder is None:
            return False
        try:
            (found,) = self._decoder.decode(body).rows
            cells = msgspec.structs.astuple(found)
            n_strings = self._n_strings
            row.texts[:] = self._texts(cells[:n_strings])
            ints: Any = cells[n_strings + self._n_floats :]
            if self._dates:
                ints = self._without_dates(ints)
            self._pack(
                row.memory,
                0,
                *[_NAN if cell is None else cell for cell in cells[n_strings : n_strings + self._n_floats]],
                *[0 if cell is None else cell for cell in ints],
                *[cell is None for cell in ints],
            )
        except (msgspec.MsgspecError, AimassError, struct.error, ValueError, RecursionError):
            return False
        return True

    def _texts(self, cells: tuple[str | None, ...]) -> list[str]:
        try:
            return [known[cell] for known, cell in zip(self._known, cells, strict=True)]
        except KeyError:
            return [self._text(at, cell) for at, cell in enumerate(cells)]

    def _text(self, at: int, cell: str | None) -> str:
        known = self._known[at]
        if cell is None or cell in known:
            return known[cell]
        if cell == NULL_STRING:
            raise ValueError("the reserved text")
        text = normalised_text(cell, fold_case=self._folds[at]) or NULL_STRING
        if len(known) <= KNOWN_TEXTS and len(cell) <= LONGEST_KNOWN:
            known[cell] = text
        return text

    def _without_dates(self, ints: tuple[Any, ...]) -> list[Any]:
        plain = list(ints)
        for at, column in self._dates:
            plain[at] = canonical_value(plain[at], column)
        return plain


def _decoder(columns: list[RawColumn]) -> msgspec.json.Decoder[Any] | None:
    """Return what parses a body with one row of `columns`; None where no class can have fields of these names."""
    names = {f"c{at}": column.name for at, column in enumerate(columns)}
    fields = [(field, _type_of(column)) for field, column in zip(names, columns, strict=True)]
    try:
        row = msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True, frozen=True, gc=False)
    except ValueError:
        return None
    rows: Any = tuple[row]  # type: ignore[valid-type]
    body = msgspec.defstruct("Body", [("rows", rows)], forbid_unknown_fields=True, frozen=True, gc=False)
    return msgspec.json.Decoder(body)


def _type_of(column: RawColumn) -> Any:
    if column.kind == "string":
        return str | None
    if column.kind == "float":
        return _Float | None
    return _Int | str | None if column.kind == "date" else _Int | bool | None

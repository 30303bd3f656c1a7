"""Rows to feeds, fast: an encoder made once for a model's columns, for servers that encode a row at a time.

It says what `canonical_rows.canonical_value` says, cell for cell; the tests hold the two equal. Its speed comes from
layout: all columns of a type share one matrix of shape (n_columns, n_rows), so that a request costs four arrays
whatever the number of columns, batches are joined by four concatenations, and the feeds are views. What is not of
the plain types that JSON has for a column goes the slow way, cell by cell.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from aimass.core.errors import SchemaMismatchError, missing_column, nearest_name
from aimass.core.features.canonical_rows import Feeds, canonical_value, normalised_text, reserved
from aimass.core.features.raw import MASK_SUFFIX, RawColumn
from aimass.core.reserved import NULL_STRING

_NONE = type(None)
_FLOATS = frozenset({float, _NONE})
_NUMBERS = frozenset({float, int, bool, _NONE})
_INTS = frozenset({int, bool, _NONE})
_INT64_END = float(1 << 63)

Row = Mapping[str, Any]
Cells = tuple[Any, ...]


class Block(NamedTuple):
    """Rows in canonical form: one matrix per type, each of shape (n_columns, n_rows) and C-contiguous."""

    strings: npt.NDArray[np.object_]
    """str; a missing one is `NULL_STRING`."""
    floats: npt.NDArray[np.float64]
    """A missing one is NaN."""
    ints: npt.NDArray[np.int64]
    """Whole numbers, booleans and dates (microseconds); 0 where missing."""
    missing: npt.NDArray[np.bool_]
    """Which of `ints` are missing."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.floats.shape[1])

    def part(self, start: int, stop: int) -> Block:
        """Return the rows from `start` up to `stop`."""
        return Block(*(np.ascontiguousarray(matrix[:, start:stop]) for matrix in self))

    @staticmethod
    def join(blocks: Sequence[Block]) -> Block:
        """Return the rows of all `blocks`, one after the other."""
        if len(blocks) == 1:
            return blocks[0]
        return Block(*(np.concatenate(matrices, axis=1) for matrices in zip(*blocks, strict=True)))


class RowEncoder:
    """Turns rows into a block, and a block into feeds.

    Parameters
    ----------
    columns : sequence of RawColumn
        The model's signature, in its order.

    Attributes
    ----------
    strings, floats, ints : list of RawColumn
        The columns behind the rows of a block's matrices; `ints` are whole numbers, booleans and dates.
    """

    def __init__(self, columns: Sequence[RawColumn]) -> None:
        self.columns = list(columns)
        self.strings = [column for column in columns if column.kind == "string"]
        self.floats = [column for column in columns if column.kind == "float"]
        self.ints = [column for column in columns if column.kind not in ("string", "float")]
        self._names = {column.name for column in columns}
        self._float_names = [column.name for column in self.floats]
        self._string_names = [column.name for column in self.strings]
        self._int_names = [column.name for column in self.ints]
        self._mask_names = [column.name + MASK_SUFFIX for column in self.ints]
        self._dates = [(at, column) for at, column in enumerate(self.ints) if column.kind == "date"]
        self._pick_strings = _picker(self._string_names)
        self._pick_floats = _picker(self._float_names)
        self._pick_ints = _picker(self._int_names)

    def encode(self, rows: Sequence[Row], *, ignore: Container[str] = ()) -> Block:
        """Return rows given as mappings as a block; a missing value is None.

        Parameters
        ----------
        rows : sequence of mapping
            Each holds every raw column.
        ignore : container of str
            Other columns that a row may hold.

        Raises
        ------
        SchemaMismatchError
            A row lacks a column, has one that nobody knows, or a value is of the wrong type; says which row, from 0.
        DataError
            A text is the reserved one.
        """
        try:
            strings = [self._pick_strings(row) for row in rows]
            floats = [self._pick_floats(row) for row in rows]
            ints = [self._pick_ints(row) for row in rows]
        except KeyError:
            raise self._misses_one(rows) from None
        width = len(self.columns)
        for at, row in enumerate(rows):
            if len(row) != width:
                self._check_others(at, row, ignore)
        return Block(self._string_matrix(strings), self._float_matrix(floats), *self._int_matrices(ints))

    def feeds(self, block: Block) -> Feeds:
        """Return what an ONNX session is fed: views into the block's matrices, by input."""
        feeds: Feeds = dict(zip(self._float_names, block.floats, strict=True))
        feeds.update(zip(self._string_names, block.strings, strict=True))
        feeds.update(zip(self._int_names, block.ints, strict=True))
        feeds.update(zip(self._mask_names, block.missing, strict=True))
        return feeds

    # --- rows -------------------------------------------------------------------------------------------------------

    def _string_matrix(self, rows: list[Cells]) -> npt.NDArray[np.object_]:
        columns = self.strings
        matrix = np.empty((len(rows), len(columns)), dtype=object)
        for at, cells in enumerate(rows):
            matrix[at] = [_text(cell, column, at) for cell, column in zip(cells, columns, strict=True)]
        return np.ascontiguousarray(matrix.T)

    def _float_matrix(self, rows: list[Cells]) -> npt.NDArray[np.float64]:
        types = set(map(type, chain.from_iterable(rows)))
        if types <= _NUMBERS:
            try:
                matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(self.floats))
            except OverflowError:
                return self._float_cells(rows)
            if types <= _FLOATS:
                matrix[np.isinf(matrix)] = np.nan
                return np.ascontiguousarray(matrix.T)
            if not (np.abs(matrix) >= _INT64_END).any():
                return np.ascontiguousarray(matrix.T)
        return self._float_cells(rows)

    def _float_cells(self, rows: list[Cells]) -> npt.NDArray[np.float64]:
        cells = _canonical_cells(rows, self.floats)
        matrix = np.array(cells, dtype=np.float64).reshape(len(rows), len(self.floats))
        return np.ascontiguousarray(matrix.T)

    def _int_matrices(self, rows: list[Cells]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        cells: list[Any] = list(map(list, rows)) if self._dates else rows
        for at, column in self._dates:
            for row, made in enumerate(cells):
                made[at] = _cell(made[at], column, row)
        types = set(map(type, chain.from_iterable(cells)))
        if types <= _INTS:
            try:
                return self._int_arrays(cells, _NONE in types)
            except OverflowError:
                pass
        return self._int_arrays(_canonical_cells(rows, self.ints), True)

    def _int_arrays(
        self, rows: Sequence[Sequence[Any]], some_missing: bool
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        shape = (len(rows), len(self.ints))
        if not some_missing:
            values = np.array(rows, dtype=np.int64).reshape(shape)
            return np.ascontiguousarray(values.T), np.zeros((shape[1], shape[0]), dtype=np.bool_)
        cells = list(chain.from_iterable(rows))
        values = np.array([0 if cell is None else cell for cell in cells], dtype=np.int64).reshape(shape)
        missing = np.array([cell is None for cell in cells], dtype=np.bool_).reshape(shape)
        return np.ascontiguousarray(values.T), np.ascontiguousarray(missing.T)

    # --- mistakes ---------------------------------------------------------------------------------------------------

    def _misses_one(self, rows: Sequence[Row]) -> SchemaMismatchError:
        at, column = next(
            (at, column) for at, row in enumerate(rows) for column in self.columns if column.name not in row
        )
        return missing_column(column.name, rows[at], where=f"row {at}")

    def _check_others(self, at: int, row: Row, ignore: Container[str]) -> None:
        for name in row:
            if name not in self._names and name not in ignore:
                raise self._unknown(name, where=f"row {at}")

    def _unknown(self, name: str, *, where: str) -> SchemaMismatchError:
        nearest = nearest_name(name, self._names)
        return SchemaMismatchError(
            f"The model has no column {name[:128]!r}, which {where} holds",
            known=self._names,
            hint=f"Did you mean {nearest!r}?" if nearest else "Leave it out",
            column=name,
            nearest=nearest,
        )


def encode_rows(rows: Sequence[Row], columns: Sequence[RawColumn]) -> Feeds:
    """Return the feeds of raw `rows`, which may hold other columns too; raises what `RowEncoder.encode` raises."""
    encoder = RowEncoder(columns)
    return encoder.feeds(encoder.encode(rows, ignore=_Everything()))


class _Everything(Container[str]):
    def __contains__(self, name: object) -> bool:
        return True


def _picker(names: Sequence[str]) -> Callable[[Row], Cells]:
    """Return what takes the cells of `names` out of a row; raises KeyError where one is not there."""
    if len(names) > 1:
        return itemgetter(*names)
    if not names:
        return lambda row: ()
    name = names[0]
    return lambda row: (row[name],)


def _text(value: Any, column: RawColumn, row: int) -> str:
    # A plain text goes straight to its form; everything else through the table of conversions.
    plain = type(value) is str
    text = normalised_text(value, fold_case=column.fold_case) if plain else _cell(value, column, row)
    if text is None:
        return NULL_STRING
    if text == NULL_STRING:
        raise reserved(column)
    return text


def _cell(value: Any, column: RawColumn, row: int) -> Any:
    """Return the canonical cell; an error says the row."""
    try:
        return canonical_value(value, column)
    except SchemaMismatchError as error:
        raise SchemaMismatchError(
            f"Row {row}: {error.message}", expected=error.expected, column=column.name, row=row
        ) from None


def _canonical_cells(rows: Iterable[Cells], columns: Sequence[RawColumn]) -> list[list[Any]]:
    return [
        [_cell(value, column, at) for value, column in zip(cells, columns, strict=True)]
        for at, cells in enumerate(rows)
    ]

"""Rows to feeds, fast: an encoder made once for a model's columns, for servers that encode a row at a time.

It says what `canonical_rows.canonical_value` says, cell for cell; the tests hold the two equal. Its speed comes from
layout: all columns of a type share one matrix of shape (n_columns, n_rows), so that a request costs four arrays
whatever the number of columns, batches are joined by four concatenations, and the feeds are views. What is not of
the plain types that JSON has for a column goes the slow way, cell by cell.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
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
_BEYOND = np.array([np.inf])

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
        n_rows: int = self.floats.shape[1]
        return n_rows

    def part(self, start: int, stop: int) -> Block:
        """Return the rows from `start` up to `stop`."""
        return Block._make(np.ascontiguousarray(matrix[:, start:stop]) for matrix in self)

    @staticmethod
    def join(blocks: Sequence[Block]) -> Block:
        """Return the rows of all `blocks`, one after the other."""
        if len(blocks) == 1:
            return blocks[0]
        return Block._make(np.concatenate(matrices, axis=1) for matrices in zip(*blocks, strict=True))


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
        self._folds = [column.fold_case for column in self.strings]
        self._dates = [(at, column) for at, column in enumerate(self.ints) if column.kind == "date"]
        groups = [[column.name for column in group] for group in (self.strings, self.floats, self.ints)]
        self._pickers = [_picker(names) for names in groups]
        self._pick_strings, self._pick_floats, self._pick_ints = self._pickers
        self._feed_names = [*chain(*groups), *(name + MASK_SUFFIX for name in groups[2])]

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
        n_rows = len(rows)
        try:
            if n_rows == 1:
                (row,) = rows
                strings, floats, ints = self._pick_strings(row), self._pick_floats(row), self._pick_ints(row)
            else:
                strings, floats, ints = (tuple(chain.from_iterable(map(pick, rows))) for pick in self._pickers)
        except KeyError:
            raise self._misses_one(rows) from None
        if sum(map(len, rows)) != n_rows * len(self.columns):
            self._check_others(rows, ignore)
        whole, missing = self._int_matrices(ints, n_rows)
        return Block(self._string_matrix(strings, n_rows), self._float_matrix(floats, n_rows), whole, missing)

    def feeds(self, block: Block) -> Feeds:
        """Return what an ONNX session is fed: views into the block's matrices, by input."""
        return dict(zip(self._feed_names, chain(*block), strict=True))

    # --- the cells of all rows, row after row, into matrices --------------------------------------------------------

    def _string_matrix(self, cells: Cells, n_rows: int) -> npt.NDArray[np.object_]:
        try:
            texts = [_text(cell, fold) for cell, fold in zip(cells, self._folds * n_rows, strict=True)]
        except _NotPlainError:
            texts = [NULL_STRING if cell is None else cell for cell in _canonical(cells, self.strings)]
        return _by_column(np.array(texts, dtype=object), n_rows)

    def _float_matrix(self, cells: Cells, n_rows: int) -> npt.NDArray[np.float64]:
        types = set(map(type, cells))
        if types <= _NUMBERS:
            try:
                values = np.array(cells, dtype=np.float64)
            except OverflowError:
                values = _BEYOND
            # Infinities are missing, and so are whole numbers beyond 64 bits; what has neither is done.
            n_given = len(cells) - cells.count(None)
            if np.count_nonzero(np.isfinite(values)) == n_given and (types <= _FLOATS or not _beyond(values)):
                return _by_column(values, n_rows)
        return _by_column(np.array(_canonical(cells, self.floats), dtype=np.float64), n_rows)

    def _int_matrices(self, cells: Cells, n_rows: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        plain: Sequence[Any] = self._without_dates(cells) if self._dates else cells
        types = set(map(type, plain))
        try:
            if types <= _INTS:
                return _whole(plain, n_rows, _NONE in types)
        except OverflowError:
            pass  # a whole number beyond 64 bits is a missing value: cell by cell
        return _whole(_canonical(cells, self.ints), n_rows, True)

    def _without_dates(self, cells: Cells) -> list[Any]:
        plain = list(cells)
        for first, column in self._dates:
            for at in range(first, len(plain), len(self.ints)):
                plain[at] = _cell(plain[at], column, at // len(self.ints))
        return plain

    # --- mistakes ---------------------------------------------------------------------------------------------------

    def _misses_one(self, rows: Sequence[Row]) -> SchemaMismatchError:
        at, column = next(
            (at, column) for at, row in enumerate(rows) for column in self.columns if column.name not in row
        )
        return missing_column(column.name, rows[at], where=f"row {at}")

    def _check_others(self, rows: Sequence[Row], ignore: Container[str]) -> None:
        for at, row in enumerate(rows):
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


def _beyond(values: npt.NDArray[np.float64]) -> bool:
    return bool(np.count_nonzero(np.abs(values) >= _INT64_END))


def _by_column(values: npt.NDArray[Any], n_rows: int) -> npt.NDArray[Any]:
    if n_rows == 1:
        return values.reshape(-1, 1)
    width = len(values) // n_rows if n_rows else 0
    return np.ascontiguousarray(values.reshape(n_rows, width).T)


def _whole(
    cells: Sequence[Any], n_rows: int, some_missing: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return whole numbers and which are missing, by column."""
    if not some_missing:
        values = _by_column(np.array(cells, dtype=np.int64), n_rows)
        return values, np.zeros(values.shape, dtype=np.bool_)
    values = np.array([0 if cell is None else cell for cell in cells], dtype=np.int64)
    missing = np.array([cell is None for cell in cells], dtype=np.bool_)
    return _by_column(values, n_rows), _by_column(missing, n_rows)


class _NotPlainError(Exception):
    """A cell of a text column is neither a text nor missing, or is the reserved text."""


def _text(value: Any, fold_case: bool) -> str:
    if value is None:
        return NULL_STRING
    if type(value) is not str or value == NULL_STRING:
        raise _NotPlainError
    return normalised_text(value, fold_case=fold_case) or NULL_STRING


def _canonical(cells: Cells, columns: Sequence[RawColumn]) -> list[Any]:
    return [_cell(cell, columns[at % len(columns)], at // len(columns)) for at, cell in enumerate(cells)]


def _cell(value: Any, column: RawColumn, row: int) -> Any:
    """Return the canonical cell; an error says the row."""
    try:
        found = canonical_value(value, column)
    except SchemaMismatchError as error:
        raise SchemaMismatchError(
            f"Row {row}: {error.message}", expected=error.expected, column=column.name, row=row
        ) from None
    if found == NULL_STRING:
        raise reserved(column)
    return found

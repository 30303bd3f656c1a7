"""Read files of text rows: cut, parse, cast, and keep what does not fit aside with its line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aimass.core.errors import EmptyDataError, SchemaMismatchError, missing_column
from aimass.core.sources.base import SourceBatch
from aimass.core.sources.blocks import Block, Quoting, blocks
from aimass.core.sources.casting import Fault, cast_together
from aimass.core.sources.file_access import Opener, SourceFile, select_columns
from aimass.core.sources.rejects import reject_table
from aimass.core.sources.streams import Compression, open_stream

SAMPLE_BYTES = 16 << 20
HEAD_BYTES = 64 << 10
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Cells:
    """The rows of a block as text.

    Attributes
    ----------
    table : pyarrow.Table, optional
        The rows that have the right shape; None where there are no rows at all.
    numbers : array, shape (n_rows,), int64
        For each of them its index among all rows of the block.
    faults : list of (int, str)
        The other rows: index and reason.
    """

    table: pa.Table | None
    numbers: npt.NDArray[np.int64]
    faults: list[Fault]


@dataclass(frozen=True)
class Head:
    """What stands before the first row of a file.

    Attributes
    ----------
    names : list of str
        The columns that the file itself names; empty where each row names its own.
    offset, line : int
        Where the rows begin.
    """

    names: list[str]
    offset: int
    line: int


@dataclass(frozen=True)
class Sampled:
    """A block that types are guessed from.

    Attributes
    ----------
    block : Block
        The rows.
    names : list of str
        The columns of its file, which may stand in another order than in the first file.
    """

    block: Block
    names: list[str]


class Syntax(Protocol):
    """How rows are spelled."""

    quoting: Quoting | None

    def head(self, block: Block, file: SourceFile) -> Head:
        """Read what stands before the rows."""

    def sample_schema(self, sample: Sequence[Sampled], rows: int) -> pa.Schema:
        """Guess columns and types from the first `rows` rows of `sample`."""

    def parse(self, block: Block, names: Sequence[str], schema: pa.Schema) -> Cells:
        """Return the columns of `schema` of the rows of `block`, whose columns are `names`; where they fit, typed."""


@dataclass(frozen=True)
class TextPiece:
    """A block of a file, parsed.

    Attributes
    ----------
    file : SourceFile
        The file.
    block : Block
        The bytes.
    cells : Cells
        Their rows.
    quoting : Quoting, optional
        How rows may hold line breaks.
    """

    file: SourceFile
    block: Block
    cells: Cells
    quoting: Quoting | None

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.block.data)

    @property
    def resume(self) -> list[int]:
        """Where its file goes on."""
        return list(self.block.end)

    @staticmethod
    def assemble(pieces: Sequence[TextPiece], schema: pa.Schema) -> SourceBatch:
        """Return the rows of `pieces`, cast at once, and those that do not fit."""
        rows, misfits = cast_together([piece.cells.table for piece in pieces], schema)
        rejected = [piece._rejects(found) for piece, found in zip(pieces, misfits, strict=True)]
        tables = [table for table in rejected if table is not None]
        return SourceBatch(rows, pieces[-1].resume, pa.concat_tables(tables) if tables else None)

    def _rejects(self, misfits: Sequence[Fault]) -> pa.Table | None:
        cells = self.cells
        faults = cells.faults + [(int(cells.numbers[index]), reason) for index, reason in misfits]
        return reject_table(self.file, self.block, self.quoting, sorted(faults)) if faults else None


class TextRows:
    """Files of text rows in one syntax.

    Parameters
    ----------
    syntax : Syntax
        How the rows are spelled.
    opener : callable
        Opens a file as it is stored.
    compression : str
        How the files are packed.
    encoding : str
        How characters are spelled.
    sample_rows : int
        How many rows the types are guessed from, of 16 MiB at most.
    """

    def __init__(
        self, syntax: Syntax, opener: Opener, *, compression: Compression, encoding: str, sample_rows: int
    ) -> None:
        self._syntax = syntax
        self._opener = opener
        self._compression = compression
        self._encoding = encoding
        self._sample_rows = sample_rows

    def schema(self, files: Sequence[SourceFile], columns: Sequence[str] | None = None) -> pa.Schema:
        """Guess the schema from the first rows of `files`; an EmptyDataError when they have none."""
        sample = list(self._sample(files))
        if not any(one.block.data.strip() for one in sample):
            raise EmptyDataError(f"{files[0].uri} has no rows", expected="at least one row", uri=files[0].uri)
        return select_columns(self._syntax.sample_schema(sample, self._sample_rows), columns, files[0])

    def pieces(self, file: SourceFile, schema: pa.Schema, at: Any = None) -> Iterator[TextPiece]:
        """Yield the rows of one file block by block, after the place `at` where given."""
        head = self._head(file)
        if head is None:
            return
        names = _matching(head.names, schema.names, file)
        offset, line = at or (head.offset, head.line)
        for block in self._blocks(file, offset, line):
            cells = _no_cells(block.fault) if block.fault else self._syntax.parse(block, names, schema)
            yield TextPiece(file, block, cells, self._syntax.quoting)

    def _head(self, file: SourceFile) -> Head | None:
        """Return what stands before the first row; None for a file without bytes."""
        for block in self._blocks(file, 0, 1, block_bytes=HEAD_BYTES):
            return self._syntax.head(block, file)
        return None

    def _sample(self, files: Sequence[SourceFile]) -> Iterator[Sampled]:
        """Yield blocks of `files` until they are 16 MiB together."""
        first: list[str] = []
        left = SAMPLE_BYTES
        for file in files:
            head = self._head(file)
            if head is None:
                continue
            first = first or head.names
            names = _matching(head.names, first, file)
            for block in self._blocks(file, head.offset, head.line):
                yield Sampled(block, names)
                left -= len(block.data)
                if left <= 0:
                    return

    def _blocks(self, file: SourceFile, offset: int, line: int, **options: Any) -> Iterator[Block]:
        with open_stream(
            file, self._opener, compression=self._compression, encoding=self._encoding, offset=offset
        ) as stream:
            yield from blocks(stream, offset=offset, line=line, quoting=self._syntax.quoting, **options)


def _no_cells(fault: str) -> Cells:
    return Cells(None, np.empty(0, dtype=np.int64), [(0, fault)])


def _matching(names: list[str], wanted: list[str], file: SourceFile) -> list[str]:
    """Return the columns of a file, which must have the wanted ones in any order."""
    for name in wanted if names else []:
        if name not in names:
            raise missing_column(name, names, where=f"the file {file.uri}")
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise SchemaMismatchError(
            f"The column {repeated!r} stands twice in the header of {file.uri}",
            expected="names that differ",
            column=repeated,
        )
    return names or wanted

"""Read files of text rows: cut, parse, cast, and keep what does not fit aside with its line."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

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
HEAD_BYTES = 4 << 10
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
    """A block of a file.

    Attributes
    ----------
    file : SourceFile
        The file.
    block : Block
        The bytes.
    names : list of str
        The file's columns.
    syntax : Syntax
        How the rows are spelled.
    """

    file: SourceFile
    block: Block
    names: list[str]
    syntax: Syntax

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
        """Return the rows of `pieces`, parsed and cast at once, and those that do not fit."""
        joined = _parsed_as_one(pieces, schema)
        if joined is not None:
            return SourceBatch(joined, pieces[-1].resume)
        cells = [piece._cells(schema) for piece in pieces]
        rows, misfits = cast_together([found.table for found in cells], schema)
        rejected = [piece._rejects(own, bad) for piece, own, bad in zip(pieces, cells, misfits, strict=True)]
        tables = [table for table in rejected if table is not None]
        return SourceBatch(rows, pieces[-1].resume, pa.concat_tables(tables) if tables else None)

    def _cells(self, schema: pa.Schema) -> Cells:
        if self.block.fault:
            return Cells(None, np.empty(0, dtype=np.int64), [(0, self.block.fault)])
        return self.syntax.parse(self.block, self.names, schema)

    def _rejects(self, cells: Cells, misfits: Sequence[Fault]) -> pa.Table | None:
        faults = cells.faults + [(int(cells.numbers[index]), reason) for index, reason in misfits]
        return reject_table(self.file, self.block, self.syntax.quoting, sorted(faults)) if faults else None


def _parsed_as_one(pieces: Sequence[TextPiece], schema: pa.Schema) -> pa.Table | None:
    """Return the rows of several blocks, parsed by one call: that costs as much for few rows as for many.

    None where one of them needs a look of its own: it has other columns, rows that do not fit, empty lines, or rows
    of several lines, such as a quote that would swallow the block after it.
    """
    first = pieces[0]
    if len(pieces) == 1 or any(piece.block.fault or piece.names != first.names for piece in pieces):
        return None
    data = b"".join(end for piece in pieces for end in (piece.block.data, b"" if piece.block.is_ended else b"\n"))
    cells = first.syntax.parse(Block(data, 0, 1), first.names, schema)
    lines = sum(piece.block.lines for piece in pieces)
    if cells.table is None or cells.faults or cells.table.num_rows != lines or b"\r" in data:
        return None
    rows, misfits = cast_together([cells.table], schema)
    return None if misfits[0] else rows


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
        with contextlib.closing(self._blocks(file, at)) as found:
            head = next(found, None)
            if head is None:
                return
            names = _matching(head.names, schema.names, file)
            for block in found:
                yield TextPiece(file, block, names, self._syntax)

    def _sample(self, files: Sequence[SourceFile]) -> Iterator[Sampled]:
        """Yield blocks of `files` until they are 16 MiB together."""
        first: list[str] = []
        left = SAMPLE_BYTES
        for file in files:
            with contextlib.closing(self._blocks(file)) as found:
                head = next(found, None)
                if head is None:
                    continue
                first = first or head.names
                names = _matching(head.names, first, file)
                for block in found:
                    yield Sampled(block, names)
                    left -= len(block.data)
                    if left <= 0:
                        return

    def _blocks(self, file: SourceFile, at: Any = None) -> Generator[Any, None, None]:
        """Yield the head of a file, unless it is empty, then its blocks, after the place `at` where given."""
        with self._opened(file, 0) as stream:
            peeked = _Peeked(stream)
            first = next(blocks(peeked, quoting=self._syntax.quoting, block_bytes=HEAD_BYTES), None)
            if first is None:
                return
            head = self._syntax.head(first, file)
            yield head
            if at is None:
                peeked.go_back_to(head.offset)
                yield from blocks(peeked, offset=head.offset, line=head.line, quoting=self._syntax.quoting)
                return
        offset, line = at
        with self._opened(file, offset) as stream:
            yield from blocks(stream, offset=offset, line=line, quoting=self._syntax.quoting)

    def _opened(self, file: SourceFile, offset: int) -> contextlib.AbstractContextManager[IO[bytes]]:
        return open_stream(file, self._opener, compression=self._compression, encoding=self._encoding, offset=offset)


class _Peeked:
    """A stream whose first bytes can be read twice, so that it need not be opened or fetched twice."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept: list[bytes] | None = []
        self._ready = b""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""
        if self._ready:
            found, self._ready = self._ready[:size], self._ready[size:]
            return found
        found = self._stream.read(size)
        if self._kept is not None:
            self._kept.append(found)
        return found

    def go_back_to(self, offset: int) -> None:
        """Stand at `offset`, which was read already; what is read from here on is not kept."""
        self._ready, self._kept = b"".join(self._kept or [])[offset:], None


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

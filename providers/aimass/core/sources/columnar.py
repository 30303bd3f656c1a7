"""Parquet and ORC files: typed already, read a row group or stripe at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq

from aimass.core.errors import EmptyDataError, SchemaMismatchError
from aimass.core.sources.base import SourceBatch
from aimass.core.sources.casting import Fault, cast_together
from aimass.core.sources.file_access import Opener, SourceFile, select_columns
from aimass.core.sources.rejects import rejects
from aimass.core.sources.streams import open_stream

BATCH_ROWS = 65_536
BATCH_BYTES = 16 << 20
RAW_CHARACTERS = 4_096


class Groups(Protocol):
    """An open columnar file."""

    schema: pa.Schema
    rows: int
    count: int

    def batches(self, group: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows of one group in bounded pieces, always the same ones."""


class ParquetGroups:
    """The row groups of a Parquet file."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._file = pq.ParquetFile(stream)
        self.schema = self._file.schema_arrow
        self.rows = self._file.metadata.num_rows
        self.count = self._file.num_row_groups

    def batches(self, group: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows of one row group."""
        about = self._file.metadata.row_group(group)
        row_bytes = max(1, about.total_byte_size // max(1, about.num_rows))
        size = max(1, min(BATCH_ROWS, BATCH_BYTES // row_bytes))
        for batch in self._file.iter_batches(batch_size=size, row_groups=[group], columns=list(columns)):
            yield pa.Table.from_batches([batch])


class OrcStripes:
    """The stripes of an ORC file; one of them has to fit in memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._file = orc.ORCFile(stream)
        self.schema = self._file.schema
        self.rows = self._file.nrows
        self.count = self._file.nstripes

    def batches(self, group: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows of one stripe."""
        table = pa.Table.from_batches([self._file.read_stripe(group, columns=list(columns))])
        for start in range(0, table.num_rows, BATCH_ROWS):
            yield table.slice(start, BATCH_ROWS)


@dataclass(frozen=True)
class ColumnarPiece:
    """Some rows of a file.

    Attributes
    ----------
    file : SourceFile
        The file.
    table : pyarrow.Table
        The rows as the file holds them.
    first_row : int
        The number of the first one among those that were read of its group.
    resume : list of int
        Where its file goes on: group and batch.
    """

    file: SourceFile
    table: pa.Table
    first_row: int
    resume: list[int]

    @property
    def size(self) -> int:
        """Its bytes in memory."""
        return int(self.table.nbytes)

    @staticmethod
    def assemble(pieces: Sequence[ColumnarPiece], schema: pa.Schema) -> SourceBatch:
        """Return the rows of `pieces`, cast at once, and those that do not fit."""
        rows, misfits = cast_together([piece.table for piece in pieces], schema)
        rejected = [piece._rejects(faults) for piece, faults in zip(pieces, misfits, strict=True) if faults]
        return SourceBatch(rows, pieces[-1].resume, pa.concat_tables(rejected) if rejected else None)

    def _rejects(self, faults: Sequence[Fault]) -> pa.Table:
        indices = [index for index, _ in faults]
        group = self.resume[0] + 1
        where = [f"{self.file.name}:row {self.first_row + index + 1} of group {group}" for index in indices]
        found = self.table.take(indices).to_pylist()
        raw = [json.dumps(row, default=str, ensure_ascii=False)[:RAW_CHARACTERS] for row in found]
        return rejects(where, [reason for _, reason in faults], raw)


class ColumnarRows:
    """Files of typed rows.

    Parameters
    ----------
    open_groups : callable
        Opens the format: `ParquetGroups` or `OrcStripes`.
    opener : callable
        Opens a file as it is stored.
    """

    def __init__(self, open_groups: Callable[[IO[bytes]], Groups], opener: Opener) -> None:
        self._open_groups = open_groups
        self._opener = opener

    def schema(self, files: Sequence[SourceFile], columns: Sequence[str] | None = None) -> pa.Schema:
        """Return the schema of the first file; an EmptyDataError when no file has rows."""
        found = None
        for file in files:
            with open_stream(file, self._opener) as stream:
                groups = self._open_groups(stream)
                wanted = select_columns(groups.schema, columns, file)
                found = found or pa.schema([_plain(field, file) for field in wanted])
                if groups.rows:
                    return found
        raise EmptyDataError(f"{files[0].uri} has no rows", expected="at least one row", uri=files[0].uri)

    def pieces(self, file: SourceFile, schema: pa.Schema, at: Any = None) -> Iterator[ColumnarPiece]:
        """Yield the rows of one file in bounded pieces, after the place `at` (group and batch) where given."""
        first_group, first_batch = at or (0, 0)
        with open_stream(file, self._opener) as stream:
            groups = self._open_groups(stream)
            select_columns(groups.schema, schema.names, file)
            done = 0
            for group in range(groups.count):
                for index, table in enumerate(groups.batches(group, schema.names) if group >= first_group else ()):
                    first_row = done
                    done += table.num_rows
                    if (group, index) >= (first_group, first_batch):
                        yield ColumnarPiece(file, table.select(schema.names), first_row, [group, index + 1])


def _plain(field: pa.Field, file: SourceFile) -> pa.Field:
    """Return the field as our datasets hold it; nested ones are refused."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_nested(kind):
        raise SchemaMismatchError(
            f"The column {field.name!r} of {file.uri} is nested ({field.type})",
            expected="columns of plain values",
            hint="Leave it out with `columns`, or flatten it where the file is made",
            column=field.name,
        )
    if pa.types.is_timestamp(kind):
        kind = pa.timestamp("us", "UTC" if kind.tz else None)
    if pa.types.is_string(kind) or pa.types.is_string_view(kind):
        kind = pa.large_string()
    return pa.field(field.name, kind)

"""One Parquet part while it is written: where its groups and the part itself end, and how its columns are encoded."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aimass.core.failpoints import Failpoints
from aimass.core.manifest import Part, Split
from aimass.core.schemas import empty_table
from aimass.core.storage import Store, file_digest

ROWS_PER_PART = 1_000_000
BYTES_PER_PART = 256 << 20
# polars decodes some ten row groups ahead: small ones keep a stage's memory flat (33 columns, 3 M rows: 225 MiB
# instead of 500 MiB, in the same time).
ROWS_PER_GROUP = 16_384
CELLS_PER_GROUP = 4 << 20
# In groups this small, Arrow's limit of 1 MiB lets every column of different values be written as a dictionary and
# its indices: twice the time, and a third more bytes (10 mixed columns, 1 M rows).
DICTIONARY_BYTES = 16 << 10
# From so many rows it is judged whether a column gets a dictionary at all: each value stands there so often.
JUDGED_ROWS, REPEATS = 4_096, 4
# A column is compressed where that leaves less than so much of its bytes: for noise and packed numbers it would cost
# a tenth of the time of writing, and as much at each reading, for 3 % of the bytes (10 mixed columns, 1 M rows).
WORTHWHILE = 0.9
BYTES_PER_GROUP = 64 << 20


@dataclass(frozen=True)
class StagedPart:
    """A part that is written whole, and seen by nobody yet."""

    path: Path
    rows: int
    split: Split | None

    def publish(self, store: Store, folder: str, index: int, failpoints: Failpoints) -> Part:
        """Move the file to its final, content-addressed name and describe it; where that fails, it is gone."""
        try:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
            digest = file_digest(self.path)
            name = f"{self.split or 'part'}-{index:05d}-{digest[:12]}.parquet"
            part = Part(name=name, rows=self.rows, bytes=self.path.stat().st_size, sha256=digest, split=self.split)
            failpoints.hit("part_staged")
            store.upload(self.path, f"{folder}/{name}")
        finally:
            self.path.unlink(missing_ok=True)
        return part


class OpenPart:
    """The open part of one share of the split.

    Groups and parts end after a number of rows or bytes of values, never where a batch happens to end, so the same
    rows give the same files.
    """

    def __init__(self, store: Store, folder: str, schema: pa.Schema, split: Split | None) -> None:
        self.rows = 0
        self.bytes = 0
        self._store = store
        self._folder = folder
        self._schema = schema
        self._split = split
        self._pending: list[pa.Table] = []
        self._pending_rows = 0
        self._pending_bytes = 0
        self._group_rows = max(1, min(ROWS_PER_GROUP, CELLS_PER_GROUP // max(1, len(schema))))
        self._writer: pq.ParquetWriter | None = None

    def append(self, table: pa.Table) -> int:
        """Buffer the first rows of `table`, up to the end of the open group; return how many."""
        piece = table.slice(0, self._group_rows - self._pending_rows)
        size = _table_bytes(piece)
        if self._pending_bytes + size >= BYTES_PER_GROUP:
            sizes = np.cumsum(_row_bytes(piece))
            last = min(piece.num_rows - 1, int(np.searchsorted(sizes, BYTES_PER_GROUP - self._pending_bytes)))
            piece, size = piece.slice(0, last + 1), int(sizes[last])
        self._pending.append(piece)
        self._pending_rows += piece.num_rows
        self._pending_bytes += size
        self.rows += piece.num_rows
        self.bytes += size
        if self._pending_rows == self._group_rows or self._pending_bytes >= BYTES_PER_GROUP:
            self._flush()
        return int(piece.num_rows)

    def is_full(self) -> bool:
        """Return whether the part has reached its size."""
        return self._pending_rows == 0 and (self.rows >= ROWS_PER_PART or self.bytes >= BYTES_PER_PART)

    def close(self) -> StagedPart:
        """Close the file; what comes next begins another one."""
        self._flush()
        assert self._writer is not None
        self._writer.close()
        staged = StagedPart(self._path, self.rows, self._split)
        self._writer, self.rows, self.bytes = None, 0, 0
        return staged

    def abandon(self) -> None:
        """Remove the staged file, if any."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._path.unlink(missing_ok=True)
            self._writer = None

    def _flush(self) -> None:
        # One chunk: Parquet's pages would follow the batches otherwise.
        group = pa.concat_tables(self._pending or [empty_table(self._schema)]).combine_chunks()
        if self._writer is None:
            self._path = self._store.staging_file(f"{self._folder}/part", ".parquet")
            self._writer = pq.ParquetWriter(self._path, self._schema, **_properties(group))
        if self._pending_rows:
            self._writer.write_table(group, row_group_size=self._pending_rows)
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0


def _properties(group: pa.Table) -> dict[str, Any]:
    """Return how the columns of a part are written, judged from its first group."""
    encoded = _encodings(group)
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, group.schema, compression="zstd", **encoded) as writer:
        writer.write_table(group.slice(0, JUDGED_ROWS))
    written = pq.read_metadata(pa.BufferReader(sink.getvalue())).row_group(0)
    columns = [written.column(index) for index in range(written.num_columns)]
    codecs = {column.path_in_schema: "zstd" if _is_compressible(column) else "none" for column in columns}
    return {**encoded, "compression": codecs}


def _is_compressible(column: pq.ColumnChunkMetaData) -> bool:
    """Return whether a written column is worth its compression."""
    return bool(column.total_compressed_size < WORTHWHILE * column.total_uncompressed_size)


def _encodings(group: pa.Table) -> dict[str, Any]:
    """Return how the columns of a part are encoded, as its first group has them.

    By dictionary where the values are few; otherwise whole numbers and moments as packed differences, which are
    written, compressed and read in less time and bytes than plain ones, and all other values plainly.
    """
    repeating = [field.name for field, column in zip(group.schema, group.columns, strict=True) if _repeats(column)]
    packed = [field.name for field in group.schema if _is_whole(field.type) and field.name not in repeating]
    return {
        "use_dictionary": repeating,
        "column_encoding": dict.fromkeys(packed, "DELTA_BINARY_PACKED"),
        "dictionary_pagesize_limit": DICTIONARY_BYTES,
    }


def _repeats(column: pa.ChunkedArray) -> bool:
    """Return whether the first values of `column` are few different ones, so that a dictionary pays."""
    first = column[:JUDGED_ROWS]
    try:
        values = pc.unique(first)
    except pa.ArrowNotImplementedError:
        return False
    is_repeated = len(values) * REPEATS <= len(first) or len(first) < JUDGED_ROWS
    return is_repeated and _table_bytes(pa.table([values], names=["values"])) < DICTIONARY_BYTES


def _is_whole(arrow_type: pa.DataType) -> bool:
    """Return whether Parquet stores values of a type as whole numbers."""
    return bool(pa.types.is_integer(arrow_type) or pa.types.is_temporal(arrow_type))


def _table_bytes(table: pa.Table) -> int:
    """Return the sum of `_row_bytes`."""
    size = 0
    for column in table.columns:
        if _is_text(column.type):
            size += sum(int(offsets[-1] - offsets[0]) for offsets in _offsets(column))
        else:
            size += table.num_rows * _value_bytes(column.type)
    return size


def _row_bytes(table: pa.Table) -> npt.NDArray[np.int64]:
    """Return the size of each row's values in bytes, shape (n_rows,); a null has a fixed width, or no bytes of text."""
    sizes = np.zeros(table.num_rows, dtype=np.int64)
    for column in table.columns:
        if _is_text(column.type):
            sizes += np.concatenate([np.diff(offsets) for offsets in _offsets(column)])
        else:
            sizes += _value_bytes(column.type)
    return sizes


def _is_text(arrow_type: pa.DataType) -> bool:
    """Return whether values of a type have lengths of their own."""
    return bool(pa.types.is_large_string(arrow_type) or pa.types.is_large_binary(arrow_type))


def _offsets(column: pa.ChunkedArray) -> Iterator[npt.NDArray[np.int64]]:
    """Yield for each chunk where its values begin and the last one ends; to sum lengths up takes ten times as long."""
    for chunk in filter(len, column.chunks):
        yield np.frombuffer(chunk.buffers()[1], dtype=np.int64)[chunk.offset :][: len(chunk) + 1]


def _value_bytes(arrow_type: pa.DataType) -> int:
    """Return the width of a fixed-width type in bytes; for nulls, lists and structs, which have none, a guess."""
    try:
        return max(1, int(arrow_type.bit_width) // 8)
    except ValueError:
        return 1 if pa.types.is_null(arrow_type) else 64

"""Comma-separated values and their kin, parsed by Arrow."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from aimass.core.errors import SchemaMismatchError
from aimass.core.schemas import empty_table
from aimass.core.sources.blocks import Block, Quoting
from aimass.core.sources.file_access import SourceFile
from aimass.core.sources.inference import infer_schema
from aimass.core.sources.text_rows import BYTE_ORDER_MARK, Cells, Head, Sampled

ANY_FIELD = re.compile(rb"[^\r\n]")
# What the processor's second-level cache holds beside its masks.
SEARCHED_BYTES = 128 << 10


class Delimited:
    """The syntax of delimited text.

    Parameters
    ----------
    delimiter : str
        One character between fields.
    quote : str, optional
        One character around fields; doubled inside one. None where quotes have no meaning.
    has_header : bool
        Whether the first row names the columns; otherwise they are column_1, column_2, …
    null_values : sequence of str
        Spellings of a missing value.
    """

    def __init__(self, *, delimiter: str, quote: str | None, has_header: bool, null_values: Sequence[str]) -> None:
        self.quoting: Quoting | None = Quoting(quote.encode(), delimiter.encode()) if quote else None
        self._parsing = {
            "delimiter": delimiter,
            "quote_char": quote or False,
            "newlines_in_values": quote is not None,
        }
        self._has_header = has_header
        self._null_values = list(null_values)
        self._headers: dict[bytes, list[str]] = {}

    def head(self, block: Block, file: SourceFile) -> Head:
        """Return the columns' names and where the rows begin."""
        begin, end = self._first_row(block)
        mark = len(BYTE_ORDER_MARK) if block.data.startswith(BYTE_ORDER_MARK) else 0
        if begin == end:
            return Head([], len(block.data), 1)
        first = self._fields(block.data[max(mark, begin) : end], file)
        names = [name or f"column_{index}" for index, name in enumerate(first, 1)]
        if not self._has_header:
            return Head([f"column_{index}" for index in range(1, len(first) + 1)], mark, 1)
        return Head(names, end, 1 + block.data.count(b"\n", 0, end))

    def sample_schema(self, sample: Sequence[Sampled], rows: int) -> pa.Schema:
        """Guess the types of all columns."""
        first = sample[0].names
        wanted = _as_bytes(first)
        tables = [empty_table(wanted)]
        left = rows
        for one in sample:
            table = None if one.block.fault or left <= 0 else self.parse(one.block, one.names, wanted).table
            if table is not None:
                tables.append(table)
                left -= table.num_rows
        return infer_schema(pa.concat_tables(tables).slice(0, rows))

    def parse(self, block: Block, names: Sequence[str], schema: pa.Schema) -> Cells:
        """Return the fields with the types of `schema`; as bytes, to be judged cell by cell, where one does not fit."""
        if ANY_FIELD.search(block.data) is None:
            return Cells(empty_table(_as_bytes(schema.names)), np.empty(0, dtype=np.int64), [])
        # Arrow reads 0x1F as a number; in a table it is a code.
        if not any(map(pa.types.is_integer, schema.types)) or not _has_hexadecimal(block.data):
            with contextlib.suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):
                return self._read(block, names, schema)
        return self._read(block, names, _as_bytes(schema.names))

    def _read(self, block: Block, names: Sequence[str], schema: pa.Schema) -> Cells:
        invalid: list[tuple[int, str]] = []

        def note(row: csv.InvalidRow) -> str:
            kind = "few" if row.actual_columns < row.expected_columns else "many"
            invalid.append((row.number - 1, f"too {kind} fields"))
            return "skip"

        types = dict.fromkeys(names, pa.large_binary()) | dict(zip(schema.names, schema.types, strict=True))
        table = csv.read_csv(
            pa.BufferReader(block.data),
            # One block, one thread: only then Arrow tells the numbers of the rows it refuses.
            read_options=csv.ReadOptions(use_threads=False, column_names=list(names), block_size=len(block.data) + 1),
            parse_options=csv.ParseOptions(**self._parsing, invalid_row_handler=note),
            convert_options=csv.ConvertOptions(
                column_types=types,
                include_columns=list(schema.names),
                null_values=self._null_values,
                strings_can_be_null=True,
            ),
        )
        is_valid = np.ones(table.num_rows + len(invalid), dtype=bool)
        is_valid[[number for number, _ in invalid]] = False
        return Cells(table, np.flatnonzero(is_valid), invalid)

    def _first_row(self, block: Block) -> tuple[int, int]:
        """Return begin and end of the first row that is not empty."""
        first = len(block.data) - len(block.data.lstrip(b"\r\n"))
        end = block.data.find(b"\n", first) + 1
        if end and (self.quoting is None or self.quoting.quote not in block.data[:end]):
            return first, end
        begins, ends = block.rows(self.quoting)
        return (int(begins[0]), int(ends[0])) if len(begins) else (0, 0)

    def _fields(self, row: bytes, file: SourceFile) -> list[str]:
        """Return the fields of a first row; of many files it is often the same one."""
        if row not in self._headers:
            table = csv.read_csv(
                pa.BufferReader(row),
                read_options=csv.ReadOptions(
                    use_threads=False, autogenerate_column_names=True, block_size=len(row) + 1
                ),
                parse_options=csv.ParseOptions(**self._parsing),
                convert_options=csv.ConvertOptions(default_column_type=pa.large_binary()),
            )
            try:
                self._headers = {row: [column[0].as_py().decode().strip() for column in table.columns]}
            except UnicodeDecodeError as error:
                raise SchemaMismatchError(
                    f"The header of {file.uri} is not UTF-8: {error}", hint="Set `encoding`, for example latin-1 or gbk"
                ) from error
        return self._headers[row]


def _has_hexadecimal(data: bytes) -> bool:
    """Return whether 0x or 0X stands in `data`; several times as fast as the operator `in`."""
    found = np.frombuffer(data, dtype=np.uint8)
    for start in range(0, len(found), SEARCHED_BYTES):
        piece = found[start : start + SEARCHED_BYTES + 1]
        if np.any((piece[:-1] == ord("0")) & (piece[1:] | 0x20 == ord("x"))):
            return True
    return False


def _as_bytes(names: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, pa.large_binary()) for name in names])

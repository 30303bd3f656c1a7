"""One JSON object a line, parsed by polars."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from aimass.core.errors import CorruptDataError, EmptyDataError
from aimass.core.sources.blocks import Block, Quoting
from aimass.core.sources.casting import Fault
from aimass.core.sources.file_access import SourceFile
from aimass.core.sources.inference import MOMENTS, infer_type
from aimass.core.sources.text_rows import BYTE_ORDER_MARK, Cells, Head, Sampled

KINDS = {bool: "bool", int: "int", float: "float", str: "str", list: "nested", dict: "nested"}


class JsonLines:
    """The syntax of JSON lines.

    Nested objects and arrays become their JSON text. Keys that the sample does not have are left out; a key that a
    row does not have is null.
    """

    quoting: Quoting | None = None

    def head(self, block: Block, file: SourceFile) -> Head:
        """Return where the rows begin; each row names its own columns."""
        mark = len(BYTE_ORDER_MARK) if block.data.startswith(BYTE_ORDER_MARK) else 0
        if block.data[mark:].lstrip().startswith(b"["):
            raise CorruptDataError(
                f"{file.uri} is a JSON array",
                expected="one JSON object a line",
                hint=f"Convert it: jq -c '.[]' {file.name}",
                uri=file.uri,
            )
        return Head([], mark, 1)

    def sample_schema(self, sample: Sequence[Sampled], rows: int) -> pa.Schema:
        """Guess the columns and their types."""
        kinds: dict[str, set[str]] = {}
        texts: dict[str, list[str]] = {}
        for record in _records(sample, rows):
            for name, value in record.items():
                seen = kinds.setdefault(name, set())
                if value is not None:
                    seen.add(KINDS[type(value)])
                if isinstance(value, str):
                    texts.setdefault(name, []).append(value)
        if not kinds:
            raise EmptyDataError("No line of the sample is a JSON object", expected="one JSON object a line")
        return pa.schema([(name, _type(seen, texts.get(name, []))) for name, seen in kinds.items()])

    def parse(self, block: Block, names: Sequence[str], schema: pa.Schema) -> Cells:
        """Return the values as text."""
        begins, ends = block.rows(None)
        lines = [block.data[begin:end] for begin, end in zip(begins, ends, strict=True)]
        texts = dict.fromkeys(schema.names, pl.String())
        frames: list[pl.DataFrame] = [pl.DataFrame(schema=texts)]
        faults: list[Fault] = []
        _parse_lines(lines, 0, texts, frames, faults)
        is_valid = np.ones(len(lines), dtype=bool)
        is_valid[[index for index, _ in faults]] = False
        table = pl.concat(frames).to_arrow(compat_level=pl.CompatLevel.oldest())
        return Cells(table, np.flatnonzero(is_valid), faults)


def _parse_lines(
    lines: list[bytes], first: int, schema: dict[str, pl.String], frames: list[pl.DataFrame], faults: list[Fault]
) -> None:
    """Parse all lines at once; where that fails, halve until the bad line stands alone."""
    if not lines:
        return
    try:
        found = pl.read_ndjson(b"".join(lines), schema=schema)
    except pl.exceptions.ComputeError:
        found = None
    if found is not None and found.height == len(lines):
        frames.append(found)
    elif len(lines) == 1:
        faults.append((first, "not a JSON object" if _is_text(lines[0]) else "not valid text"))
    else:
        half = len(lines) // 2
        _parse_lines(lines[:half], first, schema, frames, faults)
        _parse_lines(lines[half:], first + half, schema, frames, faults)


def _records(sample: Sequence[Sampled], rows: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in sample:
        for line in one.block.data.split(b"\n"):
            if len(found) == rows:
                return found
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                found.append(record)
    return found


def _type(kinds: set[str], texts: list[str]) -> pa.DataType:
    """JSON says which values are numbers, so digits in quotes stay text; only moments are looked for in strings."""
    if kinds == {"bool"}:
        return pa.bool_()
    if kinds == {"int"}:
        return pa.int64()
    if kinds and kinds <= {"int", "float"}:
        return pa.float64()
    if kinds == {"str"}:
        return infer_type(pa.chunked_array([pa.array(texts, pa.large_string())]), MOMENTS)
    return pa.large_string()


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True

"""Rows that do not fit: where they stood, why, and what they were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from aimass.core.sources.blocks import Block, Quoting
from aimass.core.sources.casting import Fault
from aimass.core.sources.file_access import SourceFile

RAW_BYTES = 4_096
SCHEMA = pa.schema([("where", pa.large_string()), ("reason", pa.large_string()), ("raw", pa.large_string())])


def reject_table(file: SourceFile, block: Block, quoting: Quoting | None, faults: Sequence[Fault]) -> pa.Table:
    """Return the faulty rows of a block: ``file:line``, reason, and the first 4 KiB of their text."""
    if block.fault:
        return rejects([f"{file.name}:{block.line}"], [block.fault], [shown(block.data)])
    begins, ends = block.rows(quoting)
    indices = np.array([index for index, _ in faults], dtype=np.int64)
    reasons = [reason for _, reason in faults]
    if len(indices) and indices[-1] >= len(begins):
        # A row that breaks the quoting rules hides where the others begin.
        return rejects([f"{file.name}:{block.line}-{block.end[1]}"] * len(reasons), reasons, [""] * len(reasons))
    where = [f"{file.name}:{line}" for line in block.where(begins[indices])]
    raw = [shown(block.data[begins[index] : ends[index]]) for index in indices]
    return rejects(where, reasons, raw)


def rejects(where: Sequence[str], reasons: Sequence[str], raw: Sequence[str]) -> pa.Table:
    """Return a table of rejected rows."""
    return pa.table([list(where), list(reasons), list(raw)], schema=SCHEMA)


def shown(data: bytes) -> str:
    """Return the first 4 KiB of `data` as text; bytes that are no text are spelled out."""
    text = data[:RAW_BYTES].decode("utf-8", "backslashreplace").rstrip("\r\n")
    return f"{text}… ({len(data):,} bytes)" if len(data) > RAW_BYTES else text

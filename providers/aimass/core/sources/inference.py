"""Guess the types of columns that arrive as text: the narrowest type that every sampled value fits."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from aimass.core.sources.casting import UTC_TIMESTAMP, fits, valid_text

NUMBERS = (pa.int64(), pa.float64(), pa.bool_())
MOMENTS = (pa.date32(), pa.timestamp("us"), UTC_TIMESTAMP)


def infer_schema(table: pa.Table) -> pa.Schema:
    """Return the schema of a sample whose columns are all text."""
    return pa.schema([pa.field(name, infer_type(table.column(name))) for name in table.schema.names])


def infer_type(column: pa.ChunkedArray, candidates: tuple[pa.DataType, ...] = NUMBERS + MOMENTS) -> pa.DataType:
    """Return int64, double, bool, date32, timestamp[us], timestamp[us, tz=UTC] or, for anything mixed, string.

    Numbers with leading zeros and integers beyond 64 bits are codes, hence strings; so is a column without values.
    """
    values = valid_text(pc.unique(column).drop_null())
    if not len(values):
        return pa.large_string()
    if not pc.all(pc.match_substring_regex(values, r"(?i)^\s*(true|false)\s*$")).as_py():
        # As a boolean Arrow also reads 0 and 1.
        candidates = tuple(kind for kind in candidates if kind != pa.bool_())
    if _are_codes(values):
        candidates = tuple(kind for kind in candidates if kind not in NUMBERS)
    return next((kind for kind in candidates if fits(values, kind)), pa.large_string())


def _are_codes(values: pa.Array) -> bool:
    if pc.any(pc.match_substring_regex(values, r"^\s*[+-]?0\d")).as_py():
        return not pc.any(pc.match_substring_regex(values, r"^\s*\d+[-:/]")).as_py()
    are_integers = pc.all(pc.match_substring_regex(values, r"^\s*[+-]?\d+\s*$")).as_py()
    return bool(are_integers) and not fits(values, pa.int64())

"""The canonicaliser's second face: single cells in plain Python, for servers and clients."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aimass.core.errors import DataError, SchemaMismatchError
from aimass.core.features import raw as spec
from aimass.core.features.raw import MASK_SUFFIX, RawColumn
from aimass.core.reserved import NULL_STRING

if TYPE_CHECKING:
    import polars as pl

_FLOAT = re.compile(spec.FLOAT_TEXT.removesuffix("$") + r"\Z")
_INT = re.compile(spec.INT_TEXT.removesuffix("$") + r"\Z")
_DATE = re.compile(spec.DATE_TEXT.removesuffix("$") + r"\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)

Feeds = dict[str, npt.NDArray[Any]]
"""What an ONNX session is fed: one array of shape (n_rows,) per input."""


def encode_frame(frame: pl.DataFrame, columns: Sequence[RawColumn]) -> Feeds:
    """Return the feeds of a frame in canonical form; raises DataError where a text is the reserved one."""
    feeds: Feeds = {}
    for column in columns:
        values = frame[column.name]
        if column.kind == "string":
            if (values == NULL_STRING).any():
                raise reserved(column)
            feeds[column.name] = values.fill_null(NULL_STRING).to_numpy()
        elif column.kind == "float":
            feeds[column.name] = values.fill_null(math.nan).to_numpy()
        else:
            feeds[column.name] = values.fill_null(0).to_numpy()
            feeds[column.name + MASK_SUFFIX] = values.is_null().to_numpy()
    return feeds


def reserved(column: RawColumn) -> DataError:
    """Return the error for a cell that holds the reserved text."""
    return DataError(
        f"Column {column.name!r} holds the text that is reserved for missing values",
        expected="null where the value is missing",
        column=column.name,
    )


def canonical_value(value: Any, column: RawColumn) -> Any:
    """Return one cell in canonical form: str, float, int (booleans and dates too) or None."""
    if value is None:
        return None
    if isinstance(value, str):
        text = normalised_text(value, fold_case=column.fold_case)
        return None if text is None else _TEXT_TO[column.kind](text)
    if isinstance(value, (bool, int, np.integer, np.bool_)):
        return _from_int(int(value), column)
    if isinstance(value, (float, np.floating, Decimal)) and column.kind in ("float", "int", "bool"):
        return _from_float(float(value), column)
    if isinstance(value, date) and column.kind == "date":
        return _from_date(value)
    raise SchemaMismatchError(
        f"Column {column.name!r} got {str(value)[:60]!r}, a {type(value).__name__}",
        expected=f"{column.type}, or what can be turned into {column.kind}",
        column=column.name,
    )


def normalised_text(value: str, *, fold_case: bool) -> str | None:
    """Return trimmed text in normal form C; None where it is empty."""
    text = value.strip(spec.WHITE_SPACE)
    if fold_case:
        text = text.lower()
    return (text if text.isascii() else unicodedata.normalize("NFC", text)) or None


def _float_from_text(text: str) -> float | None:
    value = float(text) if _FLOAT.match(text) else math.nan
    return value if math.isfinite(value) else None


def _bool_from_text(text: str) -> int | None:
    lower = text.lower()
    return 1 if lower in spec.TRUE_TEXTS else 0 if lower in spec.FALSE_TEXTS else None


def _date_from_text(text: str) -> int | None:
    found = _DATE.match(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        when = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "").ljust(6, "0")), UTC,
        )  # fmt: skip
    except ValueError:
        return None
    shift = 0
    if offset and offset != "Z":
        shift = (int(offset[1:3]) * 60 + int(offset[4:6])) * (-1 if offset[0] == "-" else 1)
    return _bounded((when - _EPOCH) // _US - shift * 60_000_000)


_TEXT_TO: dict[str, Callable[[str], Any]] = {
    "string": str,
    "float": _float_from_text,
    "int": lambda text: int(text) if _INT.match(text) else None,
    "bool": _bool_from_text,
    "date": _date_from_text,
}


def _from_int(value: int, column: RawColumn) -> Any:
    if not -(1 << 63) <= value < 1 << 63:
        return None
    if column.kind == "float":
        return float(value)
    if column.kind == "string":
        return str(value)
    if column.kind == "date":
        return _bounded(value * (spec.UNITS[column.unit] if column.native == "int" else 1))
    return value


def _from_float(value: float, column: RawColumn) -> float | int | None:
    if not math.isfinite(value):
        return None
    if column.kind == "float":
        return value
    return int(value) if value == math.floor(value) and abs(value) < spec.EXACT_INT else None


def _from_date(value: date) -> int | None:
    when = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    return _bounded(((when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH) // _US)


def _bounded(time_us: int) -> int | None:
    return time_us if spec.EARLIEST_US <= time_us <= spec.LATEST_US else None

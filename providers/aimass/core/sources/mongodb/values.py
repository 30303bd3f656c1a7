"""What a BSON value becomes in a column, one value at a time: the rules, and what everything faster must agree with."""

from __future__ import annotations

import decimal
import math
import uuid
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp, json_util
from bson.binary import UUID_SUBTYPE
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef

from aimass.core.sources.casting import UTC_TIMESTAMP

# Dates stay milliseconds: Python's own end with the year 9999, and MongoDB's do not.
CODEC: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
JSON = json_util.JSONOptions(
    json_mode=json_util.JSONMode.RELAXED, datetime_conversion=DatetimeConversion.DATETIME_MS, tz_aware=False
)
EXACT = 1 << 53
MAX_DATE_MS = (1 << 63) // 1_000 - 1
DECIMAL_DIGITS = 38

TYPES: dict[str, pa.DataType] = {
    "integer": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": UTC_TIMESTAMP,
    "text": pa.large_string(),
    "objectid": pa.large_string(),
    "uuid": pa.large_string(),
    "binary": pa.large_binary(),
    "any": pa.large_string(),
    "json": pa.large_string(),
}
"""The Arrow type of each kind of column; that of ``decimal`` has a scale."""


class MisfitError(ValueError):
    """A value that does not fit its column; the message says what it is."""


def kind_of(value: Any) -> str:
    """Return the kind of column that holds `value` as it is; ``null``, ``document`` and ``array`` besides."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    if isinstance(value, Code):
        return "text" if value.scope is None else "json"
    if isinstance(value, Binary | bytes):
        return "uuid" if getattr(value, "subtype", 0) == UUID_SUBTYPE else "binary"
    return "json"


_KINDS = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    Int64: "integer",
    float: "double",
    str: "text",
    Regex: "text",
    ObjectId: "objectid",
    DatetimeMS: "date",
    Timestamp: "date",
    Decimal128: "decimal",
    dict: "document",
    list: "array",
}


def to_json(value: Any) -> str:
    """Return `value` as relaxed Extended JSON."""
    return json_util.dumps(value, json_options=JSON, ensure_ascii=False)


def convert(kind: str, value: Any) -> Any:
    """Return what stands for `value` in a column of `kind`; None for null. Raises MisfitError."""
    return None if value is None else _CONVERTERS[kind](value)


def _integer(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        return int(value)
    raise MisfitError(f"{described(value)} is not an integer")


def _double(value: Any) -> float | None:
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > EXACT:
            raise MisfitError("an integer that a double cannot hold exactly")
        return float(value)
    raise MisfitError(f"{described(value)} is not a double")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise MisfitError(f"{described(value)} is not a boolean")


def _date(value: Any) -> int:
    if isinstance(value, Timestamp):
        return int(value.time) * 1_000_000
    if isinstance(value, DatetimeMS):
        if not -MAX_DATE_MS <= int(value) <= MAX_DATE_MS:
            raise MisfitError("a date beyond the year 292,000")
        return int(value) * 1_000
    raise MisfitError(f"{described(value)} is not a date")


def _text(value: Any) -> str:
    if isinstance(value, Regex):
        return f"/{value.pattern}/{''.join(letter for letter, flag in _FLAGS.items() if value.flags & flag)}"
    if isinstance(value, str) and getattr(value, "scope", None) is None:
        return str(value)
    raise MisfitError(f"{described(value)} is not text")


_FLAGS = {"i": 2, "l": 4, "m": 8, "s": 16, "u": 32, "x": 64}


def _object_id(value: Any) -> str:
    if isinstance(value, ObjectId):
        return str(value)
    raise MisfitError(f"{described(value)} is not an ObjectId")


def _uuid(value: Any) -> str:
    if isinstance(value, Binary) and value.subtype == UUID_SUBTYPE and len(value) == 16:
        return str(uuid.UUID(bytes=bytes(value)))
    raise MisfitError(f"{described(value)} is not a UUID")


def _binary(value: Any) -> bytes:
    if isinstance(value, bytes):
        return bytes(value)
    raise MisfitError(f"{described(value)} is not binary")


def _decimal(value: Any) -> decimal.Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return decimal.Decimal(int(value))
    if isinstance(value, Decimal128):
        found = value.to_decimal()
        if found.is_finite():
            return found
    raise MisfitError(f"{described(value)} is not a finite decimal")


def _any(value: Any) -> str | None:
    kind = kind_of(value)
    if kind in ("text", "objectid", "uuid"):
        return str(_CONVERTERS[kind](value))
    if kind == "double" and math.isnan(value):
        return None
    if kind == "decimal":
        return str(value)
    return to_json(value)


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "integer": _integer,
    "double": _double,
    "boolean": _boolean,
    "date": _date,
    "text": _text,
    "objectid": _object_id,
    "uuid": _uuid,
    "binary": _binary,
    "decimal": _decimal,
    "any": _any,
    "json": to_json,
}


def described(value: Any) -> str:
    """Return what `value` is, with its article, and never the value itself."""
    return _DESCRIBED.get(type(value), f"a {type(value).__name__}")


_DESCRIBED = {
    bool: "a boolean",
    int: "an integer",
    Int64: "an integer",
    float: "a double",
    str: "text",
    bytes: "binary",
    Binary: "binary",
    ObjectId: "an ObjectId",
    DatetimeMS: "a date",
    dict: "a document",
    list: "an array",
    Regex: "a regular expression",
    Code: "code",
    Timestamp: "a timestamp",
    Decimal128: "a decimal",
    DBRef: "a reference",
    MinKey: "MinKey",
    MaxKey: "MaxKey",
}

r"""The canonicaliser: what happens to raw columns before the graph, in batch and in the server alike.

ONNX can neither trim, nor fold case, nor normalise Unicode, nor parse; so this small specification stands before it,
with two faces that the tests hold equal: polars expressions (here) and plain Python (`canonical_rows`).

1. Text is trimmed of Unicode white space (`WHITE_SPACE`), put in lower case where `fold_case` asks for it, and brought
   to normal form C. What is then empty is missing.
2. Text becomes what `kind` says, and is missing where it is not of that form (ASCII digits only):

   - float: ``[+-]digits[.digits][e[+-]digits]``;
   - int: ``[+-]`` and up to 18 digits;
   - bool: true, t, yes, y, 1 / false, f, no, n, 0, in any case;
   - date: ISO 8601 ``YYYY-MM-DD``, optionally ``T`` or a space and ``hh:mm[:ss[.ffffff]]``, optionally ``Z`` or
     ``±hh:mm``; without an offset it is UTC.

3. Numbers: NaN and infinities are missing. A float becomes an int where it is whole and below 2\ :sup:`53`, and is
   missing elsewhere. An int becomes a date by its `unit` since 1970 UTC. An int becomes text by its decimal digits.
4. Dates are int64 microseconds since 1970 UTC, cut to whole microseconds; outside the years 1 to 9999 they are missing.
5. Booleans are 0 and 1.

Doing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import polars as pl
from pydantic import Field

from aimass.core import settings
from aimass.core.errors import SchemaMismatchError, missing_column
from aimass.core.features.base import Kind
from aimass.core.manifest import Column

WHITE_SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
    "\u205f\u3000"
)
FLOAT_TEXT = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
INT_TEXT = r"^[+-]?[0-9]{1,18}$"
DATE_TEXT = (
    r"^([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"(?:[T ]([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:\.([0-9]{1,6}))?)?"
    r"(Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?$"
)
TRUE_TEXTS = ("true", "t", "yes", "y", "1")
FALSE_TEXTS = ("false", "f", "no", "n", "0")
UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}
EARLIEST_US = int(datetime(1, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
LATEST_US = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * 1_000_000 + 999_999
EXACT_INT = 1 << 53

CONVERSIONS: dict[Kind, tuple[Kind, ...]] = {
    "string": ("string", "float", "int", "bool", "date"),
    "float": ("float", "int"),
    "int": ("int", "float", "string", "date"),
    "bool": ("bool", "int", "float"),
    "date": ("date",),
}
"""What each native kind can be turned into before the graph."""


class RawColumn(settings.Settings):
    """One raw column and what the canonicaliser makes of it."""

    name: str = Field(description="Name of the column.")
    type: str = Field(description="Its Arrow type in the dataset that split wrote.")
    kind: Kind = Field(description="What it holds in the graph.")
    fold_case: bool = Field(default=False, description="Whether text is put in lower case.")
    unit: Literal["s", "ms", "us"] = Field(default="us", description="Unit of an integer that is read as a date.")

    @property
    def native(self) -> Kind:
        """The kind that goes with the Arrow type."""
        found = kind_of(self.type)
        assert found is not None, f"{self.name}: {self.type} was refused when the column was declared"
        return found


def kind_of(arrow_type: str) -> Kind | None:
    """Return what a column of this Arrow type holds, or None where no transform could use it."""
    table: list[tuple[tuple[str, ...], Kind]] = [
        (("string", "dictionary", "null"), "string"),
        (("bool",), "bool"),
        (("int", "uint"), "int"),
        (("double", "float", "halffloat", "decimal"), "float"),
        (("date", "timestamp"), "date"),
    ]
    return next((kind for starts, kind in table if arrow_type.startswith(starts)), None)


def raw_columns(columns: Iterable[Column]) -> list[RawColumn]:
    """Return the plain specification of those `columns` that transforms can use."""
    found = [(column, kind_of(column.type)) for column in columns]
    return [RawColumn(name=column.name, type=column.type, kind=kind) for column, kind in found if kind is not None]


def canonical(frame: pl.LazyFrame, columns: Sequence[RawColumn]) -> pl.LazyFrame:
    """Return `frame` with `columns` in canonical form; other columns stay as they are.

    Text is String, numbers Float64 or Int64, booleans and dates Int64; a missing value is null.

    Raises
    ------
    SchemaMismatchError
        A column is not there, or has a type that its specification cannot start from.
    """
    schema = frame.collect_schema()
    for column in columns:
        if column.name not in schema:
            raise missing_column(column.name, schema.names(), where="the rows")
    return frame.with_columns([expression(column, schema[column.name]).alias(column.name) for column in columns])


def expression(column: RawColumn, dtype: pl.DataType) -> pl.Expr:
    """Return the canonical form of one column that arrives as `dtype`."""
    value = pl.col(column.name)
    if dtype == pl.String or dtype in (pl.Categorical, pl.Enum):
        return _from_text(normalised_text(value.cast(pl.String), fold_case=column.fold_case), column.kind)
    if dtype == pl.Null:
        return value.cast({"string": pl.String, "float": pl.Float64}.get(column.kind, pl.Int64))
    if dtype in (pl.Date, pl.Datetime) and column.kind == "date":
        return _bounded((value.cast(pl.Datetime("us")) if dtype == pl.Date else value).dt.timestamp("us"))
    if (dtype.is_float() or dtype.is_decimal()) and column.kind in ("float", "int", "bool"):
        return _from_float(value.cast(pl.Float64), column.kind)
    if dtype == pl.Boolean or dtype.is_integer():
        return _from_int(value.cast(pl.Int64, strict=False), column)
    raise SchemaMismatchError(
        f"Column {column.name!r} arrives as {dtype}",
        expected=f"{column.type}, or what can be turned into {column.kind}",
        column=column.name,
    )


def normalised_text(value: pl.Expr, *, fold_case: bool) -> pl.Expr:
    """Return trimmed text in normal form C; null where it is empty."""
    text = value.str.strip_chars(WHITE_SPACE)
    text = (text.str.to_lowercase() if fold_case else text).str.normalize("NFC")
    return pl.when(text != "").then(text)


def _from_text(text: pl.Expr, kind: Kind) -> pl.Expr:
    if kind == "string":
        return text
    if kind == "float":
        return _from_float(pl.when(text.str.contains(FLOAT_TEXT)).then(text).cast(pl.Float64, strict=False), kind)
    if kind == "int":
        return pl.when(text.str.contains(INT_TEXT)).then(text.str.strip_prefix("+")).cast(pl.Int64, strict=False)
    if kind == "bool":
        lower = text.str.to_lowercase()
        return pl.when(lower.is_in(TRUE_TEXTS)).then(1).when(lower.is_in(FALSE_TEXTS)).then(0).cast(pl.Int64)
    return _date_from_text(text)


def _date_from_text(text: pl.Expr) -> pl.Expr:
    part = text.str.extract_groups(DATE_TEXT).struct
    whole = pl.concat_str(
        [part[0], part[1], part[2], part[3].fill_null("00"), part[4].fill_null("00"), part[5].fill_null("00")],
        separator=" ",
    )
    seconds = whole.str.to_datetime("%Y %m %d %H %M %S", strict=False, time_unit="us").dt.timestamp("us")
    fraction = part[6].fill_null("0").str.pad_end(6, "0").cast(pl.Int64)
    offset = part[7].fill_null("Z")
    minutes = (
        pl.when(offset == "Z").then(pl.lit("0")).otherwise(offset.str.slice(1, 2)).cast(pl.Int64) * 60
        + pl.when(offset == "Z").then(pl.lit("0")).otherwise(offset.str.slice(4, 2)).cast(pl.Int64)
    ) * pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    return _bounded(pl.when(part[0] != "0000").then(seconds + fraction - minutes * 60_000_000))


def _from_float(value: pl.Expr, kind: Kind) -> pl.Expr:
    finite = pl.when(value.is_finite()).then(value)
    if kind == "float":
        return finite
    return pl.when((finite == finite.floor()) & (finite.abs() < EXACT_INT)).then(finite).cast(pl.Int64, strict=False)


def _from_int(value: pl.Expr, column: RawColumn) -> pl.Expr:
    if column.kind == "float":
        return value.cast(pl.Float64)
    if column.kind == "string":
        return value.cast(pl.String)
    if column.kind == "date":
        factor = UNITS[column.unit] if column.native == "int" else 1
        in_range = value.is_between(-(-EARLIEST_US // factor), LATEST_US // factor)
        return pl.when(in_range).then(value * factor)
    return value


def _bounded(time_us: pl.Expr) -> pl.Expr:
    return pl.when(time_us.is_between(EARLIEST_US, LATEST_US)).then(time_us)


def readable(frame: pl.LazyFrame, kinds: dict[str, Kind]) -> pl.LazyFrame:
    """Return canonical columns in the types that people expect in a dataset: timestamps and booleans."""
    dates = [pl.col(name).cast(pl.Datetime("us", "UTC")) for name, kind in kinds.items() if kind == "date"]
    flags = [pl.col(name).cast(pl.Boolean) for name, kind in kinds.items() if kind == "bool"]
    return frame.with_columns(dates + flags)

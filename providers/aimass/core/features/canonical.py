"""The canonicaliser's first face: polars expressions, for batch. Its specification stands in `raw`."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from aimass.core.errors import SchemaMismatchError, missing_column
from aimass.core.features.raw import (
    CONVERSIONS,
    DATE_TEXT,
    EARLIEST_US,
    EXACT_INT,
    FALSE_TEXTS,
    FLOAT_TEXT,
    INT_TEXT,
    LATEST_US,
    TRUE_TEXTS,
    UNITS,
    WHITE_SPACE,
    Kind,
    RawColumn,
    kind_of,
    raw_columns,
)

__all__ = [
    "CONVERSIONS", "EARLIEST_US", "LATEST_US", "RawColumn", "kind_of", "raw_columns",
    "canonical", "expression", "normalised_text", "readable",
]  # fmt: skip


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

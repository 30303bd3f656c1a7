"""What a column of MySQL becomes, and how it is asked for so that every client library gives the same values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from aimass.core.errors import CorruptDataError
from aimass.core.sources.casting import Fault, cast_table

UTC = pa.timestamp("us", "UTC")
KeyKind = Literal["number", "decimal", "text", "time", "binary"]

# What connectorx keeps of a decimal: 96 bits, and ten digits after the point.
EXACT_PRECISION, EXACT_SCALE = 28, 10
# polars, which reads our datasets, has no wider decimals: a DECIMAL of more digits stays text.
MAX_PRECISION = 38

TYPICAL_BYTES = 64

_INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 32, "int": 32, "bigint": 64}
_TEXT = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"}
_BINARY = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
_GEOMETRY = {
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
    "geometrycollection", "geomcollection",
}  # fmt: skip
_LONG_TYPES = {"text", "mediumtext", "longtext", "blob", "mediumblob", "longblob", "json"} | _GEOMETRY


@dataclass(frozen=True)
class Column:
    """A column of a table or of a query's result.

    Attributes
    ----------
    name : str
        Its name.
    sql_type : str
        Its type as ``information_schema.columns.data_type`` calls it, lower case.
    unsigned : bool
        Whether a number has no sign.
    precision, scale : int
        Digits of a decimal, in all and after the point; `precision` is the bits of a BIT.
    nullable : bool
        Whether it may hold NULL.
    max_bytes : int
        The most bytes a value may have; 0 where that is not known.
    """

    name: str
    sql_type: str
    unsigned: bool = False
    precision: int = 0
    scale: int = 0
    nullable: bool = True
    max_bytes: int = 0

    @property
    def quoted(self) -> str:
        """The name in a statement."""
        return quoted(self.name)

    @property
    def arrow_type(self) -> pa.DataType:
        """The type in our datasets."""
        return _arrow_type(self)

    @property
    def expression(self) -> str:
        """What to select: the same values in the text and the binary protocol, and null for a date that is none."""
        return f"{_date(self.quoted)} AS {self.quoted}" if self.is_date else self.plain

    @property
    def plain(self) -> str:
        """The same without a look at dates, which costs the server more than all the rest of a row."""
        render = _EXPRESSIONS.get(self.sql_type)
        if render is None and self.sql_type not in _AS_THEY_ARE:
            render = _as_text
        if self.sql_type == "decimal" and (self.precision > EXACT_PRECISION or self.scale > EXACT_SCALE):
            render = _as_text
        return f"{render(self.quoted)} AS {self.quoted}" if render else self.quoted

    @property
    def is_date(self) -> bool:
        """Whether it may hold dates such as 0000-00-00, which are none."""
        return self.sql_type in _DATES

    @property
    def typical_bytes(self) -> int:
        """About how many bytes a value has, to guess how many rows fit into memory."""
        is_text = self.sql_type in _TEXT | _BINARY | _LONG_TYPES
        return min(self.max_bytes or TYPICAL_BYTES, TYPICAL_BYTES) if is_text else 8

    @property
    def is_long(self) -> bool:
        """Whether a value may be longer than a few KiB."""
        return self.sql_type in _LONG_TYPES or self.max_bytes > 4_096

    @property
    def key_kind(self) -> KeyKind | None:
        """How it can be part of a key; None where it cannot: its values' order or equality is not ours."""
        if self.sql_type in _INTEGERS or self.sql_type == "year":
            return "number"
        if self.is_date:
            return "time"
        kinds: dict[str, KeyKind] = {"decimal": "decimal", "char": "text", "varchar": "text"}
        return kinds.get(self.sql_type, "binary" if self.sql_type in ("binary", "varbinary") else None)


def quoted(name: str) -> str:
    """Return a name as a statement spells it."""
    return "`" + name.replace("`", "``") + "`"


def is_date_or_null(column: Column) -> str:
    """Return the condition that a value is no zero date, such as 0000-00-00 or 2024-00-10."""
    return f"COALESCE({_is_date(column.quoted)}, 1)"


def _is_date(name: str) -> str:
    # Of the year 0, LAST_DAY knows nothing.
    days = f"COALESCE(DAYOFMONTH(LAST_DAY({name})), 31)"
    return f"MONTH({name}) AND DAYOFMONTH({name}) BETWEEN 1 AND {days}"


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """Return the columns as our datasets hold them."""
    return pa.schema([(column.name, column.arrow_type) for column in columns])


def typed(table: pa.Table, schema: pa.Schema) -> tuple[pa.Table, list[Fault]]:
    """Give what a client library returned the types of `schema`; see `cast_table`.

    The columns of `table` are of the library's own types, or the text protocol's bytes.

    Raises
    ------
    CorruptDataError
        A value is not one of its column's type.
    """
    arrays = []
    for field in schema:
        try:
            arrays.append(_typed(table.column(field.name), field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise CorruptDataError(
                f"A value of the column {field.name!r} is no {field.type}: {error}",
                hint="Leave the column out with `columns`, or cast it in a `query`",
                column=field.name,
            ) from error
    return cast_table(pa.table(arrays, schema=schema), schema)


def _typed(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_large_binary(values.type) and not pa.types.is_large_binary(target):
        values = pc.cast(values, pa.large_string())
    if values.type == target:
        return values
    if target == UTC and not pa.types.is_timestamp(values.type):
        values = pc.cast(values, pa.timestamp("us"))
    if pa.types.is_large_string(values.type) and (pa.types.is_duration(target) or pa.types.is_boolean(target)):
        values = pc.cast(values, pa.int64())
    return pc.cast(values, target)


def _arrow_type(column: Column) -> pa.DataType:
    kind = column.sql_type
    if kind in _INTEGERS:
        return pa.type_for_alias(f"{'u' if column.unsigned else ''}int{_INTEGERS[kind]}")
    if kind == "decimal" and column.precision <= MAX_PRECISION:
        return pa.decimal128(column.precision, column.scale)
    if kind == "bit":
        return pa.bool_() if column.precision == 1 else pa.uint64()
    if kind in _BINARY | _GEOMETRY:
        return pa.large_binary()
    simple = {
        "float": pa.float32(),
        "double": pa.float64(),
        "year": pa.int16(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
        "timestamp": UTC,
        "time": pa.duration("us"),
    }
    return simple.get(kind, pa.large_string())


def _as_text(name: str) -> str:
    return f"CAST({name} AS CHAR)"


def _date(name: str) -> str:
    return f"IF({_is_date(name)}, {name}, NULL)"


def _microseconds(name: str) -> str:
    # A TIME goes from -838 to 838 hours, which only a difference of two moments holds.
    start = "TIMESTAMP'2000-01-01 00:00:00'"
    return f"TIMESTAMPDIFF(MICROSECOND, {start}, ADDTIME({start}, {name}))"


_EXPRESSIONS: dict[str, Callable[[str], str]] = {
    # As text, a FLOAT has six digits.
    "float": lambda name: f"({name} + 0e0)",
    "bit": lambda name: f"CAST({name} AS UNSIGNED)",
    "time": _microseconds,
    # connectorx would write MySQL's JSON anew.
    "json": _as_text,
    **{kind: (lambda name: f"ST_AsBinary({name})") for kind in _GEOMETRY},
}
_DATES = {"date", "datetime", "timestamp"}
_AS_THEY_ARE = set(_INTEGERS) | _TEXT | _BINARY | _DATES | {"decimal", "double", "year"}

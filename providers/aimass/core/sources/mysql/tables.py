"""What the server knows of a table, or tells of a query: columns, keys, indexes."""

# ruff: noqa: S608 - names and values are quoted by `quoted` and spelled in hexadecimal; the rest is the user's own

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mysql.connector import FieldFlag, FieldType

from aimass.core.errors import ConfigError, NotFoundError, missing_column, nearest_name
from aimass.core.sources.mysql.columns import Column, quoted
from aimass.core.sources.mysql.sessions import rows_of

if TYPE_CHECKING:
    from mysql.connector.connection import MySQLConnection

BINARY_CHARSET = 63

_FIELD_TYPES = {
    FieldType.DECIMAL: "decimal",
    FieldType.NEWDECIMAL: "decimal",
    FieldType.TINY: "tinyint",
    FieldType.SHORT: "smallint",
    FieldType.INT24: "mediumint",
    FieldType.LONG: "int",
    FieldType.LONGLONG: "bigint",
    FieldType.FLOAT: "float",
    FieldType.DOUBLE: "double",
    FieldType.YEAR: "year",
    FieldType.DATE: "date",
    FieldType.NEWDATE: "date",
    FieldType.DATETIME: "datetime",
    FieldType.TIMESTAMP: "timestamp",
    FieldType.TIME: "time",
    FieldType.BIT: "bit",
    FieldType.JSON: "json",
    FieldType.GEOMETRY: "geometry",
    FieldType.ENUM: "enum",
    FieldType.SET: "set",
}
_STRINGS = {FieldType.STRING: "char", FieldType.VAR_STRING: "varchar", FieldType.VARCHAR: "varchar"}


@dataclass(frozen=True)
class Table:
    """A table or a query's result.

    Attributes
    ----------
    sql : str
        What stands after FROM.
    label : str
        What messages call it.
    columns : sequence of Column
        All of them.
    key : tuple of str
        The columns of the primary key, or of another one that is unique and never null; empty where there is none.
    indexes : sequence of tuple of str
        The columns of each index; those of the primary key end each (InnoDB's do).
    rows : int or None
        About how many rows there are.
    """

    sql: str
    label: str
    columns: Sequence[Column]
    key: tuple[str, ...] = ()
    indexes: Sequence[tuple[str, ...]] = field(default_factory=tuple)
    rows: int | None = None

    def column(self, name: str) -> Column:
        """Return a column by its name, as MySQL compares names; raises SchemaMismatchError."""
        for column in self.columns:
            if column.name.lower() == name.lower():
                return column
        raise missing_column(name, [column.name for column in self.columns], where=self.label)

    def is_in_order(self, names: Sequence[str]) -> bool:
        """Return whether an index holds the rows in the order of `names`."""
        return any(tuple(index[: len(names)]) == tuple(names) for index in (self.key, *self.indexes))


def find_table(opened: MySQLConnection, database: str, name: str) -> Table:
    """Describe the table or view `name` of the schema `database`.

    Raises
    ------
    ConfigError
        No schema is named.
    NotFoundError
        There is none, or the user may not see it; the nearest existing name is told.
    """
    database, name = name.split(".", 1) if "." in name else (database, name)
    if not database:
        raise ConfigError(
            f"The table {name!r} is in no schema", expected=f"schema.{name}, or `database` in the connection"
        )
    found = rows_of(
        opened,
        "SELECT column_name, data_type, column_type, numeric_precision, numeric_scale, is_nullable, "
        f"character_octet_length FROM information_schema.columns WHERE {_named(database, name)} "
        "ORDER BY ordinal_position",
    )
    if not found:
        raise _unknown_table(opened, database, name)
    statistics = rows_of(
        opened,
        "SELECT index_name, column_name, non_unique, nullable, sub_part FROM information_schema.statistics "
        f"WHERE {_named(database, name)} AND index_type = 'BTREE' "
        "ORDER BY index_name = 'PRIMARY' DESC, index_name, seq_in_index",
    )
    rows = rows_of(opened, f"SELECT table_rows FROM information_schema.tables WHERE {_named(database, name)}")
    key, indexes = _keys(statistics)
    columns = [_column(*(_text(value) for value in row)) for row in found]
    sql = f"{quoted(database)}.{quoted(name)}"
    count = rows[0][0] if rows else None
    return Table(sql, f"the table {database}.{name}", columns, key, indexes, None if count is None else int(count))


def find_query(opened: MySQLConnection, query: str) -> Table:
    """Describe what `query` returns; it is run for no row."""
    sql = f"({query.strip().rstrip(';')}\n) AS `query`"
    cursor = opened.cursor()
    cursor.execute(f"SELECT * FROM {sql} LIMIT 0")
    cursor.fetchall()
    described = list(cursor.description or ())
    cursor.close()
    columns = [_described(opened, sql, *(row[0], row[1], row[7], row[8])) for row in described]
    return Table(sql, "the query", columns)


def _column(name: str, data_type: str, column_type: str, *rest: Any) -> Column:
    precision, scale, is_nullable, max_bytes = rest
    lower = column_type.lower()
    return Column(
        name=name,
        sql_type={"integer": "int", "numeric": "decimal", "real": "double"}.get(data_type.lower(), data_type.lower()),
        unsigned="unsigned" in lower or "zerofill" in lower,
        precision=int(precision or 0),
        scale=int(scale or 0),
        nullable=is_nullable == "YES",
        max_bytes=int(max_bytes or 0),
    )


def _described(opened: MySQLConnection, sql: str, name: str, code: int, flags: int, charset: int) -> Column:
    """Return a column of a query from what the protocol tells of it, which is less than a table's."""
    is_binary = charset == BINARY_CHARSET
    kind = _FIELD_TYPES.get(code)
    if code in _STRINGS:
        named = {FieldFlag.ENUM: "enum", FieldFlag.SET: "set"}
        kind = next((own for flag, own in named.items() if flags & flag), _STRINGS[code])
        kind = {"char": "binary", "varchar": "varbinary"}.get(kind, kind) if is_binary else kind
    elif FieldType.get_info(code) and "BLOB" in (FieldType.get_info(code) or ""):
        kind = "longblob" if is_binary else "longtext"
    is_unsigned = bool(flags & FieldFlag.UNSIGNED)
    nullable = not flags & FieldFlag.NOT_NULL
    if kind != "decimal":
        return Column(name, kind or "null", is_unsigned, precision=64, nullable=nullable)
    # Every value has the column's digits after the point, and any one shows how many.
    shown = rows_of(opened, f"SELECT CAST({quoted(name)} AS CHAR) FROM {sql} WHERE {quoted(name)} IS NOT NULL LIMIT 1")
    scale = len(_text(shown[0][0]).partition(".")[2]) if shown else 0
    return Column(name, kind, precision=38, scale=scale, nullable=nullable)


def _keys(statistics: Sequence[Sequence[Any]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the first key that identifies every row, and the columns of each index."""
    parts: dict[str, list[tuple[str, bool]]] = {}
    prefixed = {_text(index) for index, _, _, _, prefix in statistics if prefix is not None}
    for index, column, non_unique, nullable, _ in statistics:
        if _text(index) not in prefixed:
            is_key = not non_unique and _text(nullable) != "YES"
            parts.setdefault(_text(index), []).append((_text(column), is_key))
    names = {index: tuple(name for name, _ in columns) for index, columns in parts.items()}
    unique = [index for index, columns in parts.items() if all(is_key for _, is_key in columns)]
    key = names[unique[0]] if unique else ()
    return key, [*(columns + tuple(name for name in key if name not in columns) for columns in names.values())]


def _unknown_table(opened: MySQLConnection, database: str, name: str) -> NotFoundError:
    schemas = [_text(row[0]) for row in rows_of(opened, "SELECT schema_name FROM information_schema.schemata")]
    if database not in schemas:
        kind, seen, known = "schema", database, schemas
    else:
        tables = f"SELECT table_name FROM information_schema.tables WHERE table_schema = {_literal(database)}"
        kind, seen, known = "table", f"{database}.{name}", [_text(row[0]) for row in rows_of(opened, tables)]
    nearest = nearest_name(seen.rpartition(".")[2], known)
    return NotFoundError(
        f"There is no {kind} {seen!r}, or the user may not see it",
        known=known,
        hint=f"Did you mean {nearest!r}?" if nearest else "Check the name, and the user's SELECT right",
        nearest=nearest,
    )


def _named(database: str, name: str) -> str:
    return f"table_schema = {_literal(database)} AND table_name = {_literal(name)}"


def _literal(text: str) -> str:
    return "_utf8mb4 x'" + text.encode().hex() + "'" if text else "''"


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, (bytes, bytearray)) else value

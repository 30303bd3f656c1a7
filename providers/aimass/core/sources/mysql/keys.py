"""Keys of rows: the columns that put rows in order, as values in statements and in positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aimass.core.errors import ConfigError
from aimass.core.sources.mysql.columns import Column
from aimass.core.sources.watermark import Key

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX = "_aimass_key_"


class RowKey:
    """Columns by which rows are ordered and told apart.

    Parameters
    ----------
    columns : sequence of Column
        The most significant first.

    Raises
    ------
    ConfigError
        A column's type has no order that the server and we agree on.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        for column in columns:
            if column.key_kind is None:
                raise ConfigError(
                    f"The column {column.name!r} is a {column.sql_type} and cannot be part of a key",
                    expected="whole numbers, decimals, dates and times, short text or short binary columns",
                    column=column.name,
                )
        self.columns = list(columns)

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [column.name for column in self.columns]

    @property
    def selected(self) -> str:
        """What to select for a key as JSON holds it."""
        return ", ".join(f"{_shown(column)} AS `{PREFIX}{i}`" for i, column in enumerate(self.columns))

    def keys(self, table: pa.Table) -> list[Key]:
        """Return the keys that came with rows, where `selected` was asked for."""
        columns = [table.column(f"{PREFIX}{i}").to_pylist() for i in range(len(self.columns))]
        return [list(key) for key in zip(*map(self._values_of, self.columns, columns), strict=True)]

    def order(self, *, descending: bool = False) -> str:
        """Return what stands after ORDER BY."""
        return ", ".join(column.quoted + (" DESC" if descending else "") for column in self.columns)

    def after(self, key: Key) -> str:
        """Return the condition of rows with a greater key; `key` may be a prefix of one."""
        return self._beyond(key, ">", ">")

    def up_to(self, key: Key) -> str:
        """Return the condition of rows with this key or a lower one."""
        return self._beyond(key, "<", "<=")

    def equals(self, key: Key) -> str:
        """Return the condition of the row with this key."""
        return " AND ".join(f"{column.quoted} = {value}" for column, value in self._values(key))

    def is_null(self) -> str:
        """Return the condition of rows that have no place in the order; empty where there can be none."""
        return " OR ".join(f"{column.quoted} IS NULL" for column in self.columns if column.nullable)

    def _beyond(self, key: Key, strict: str, last: str) -> str:
        values = self._values(key)
        column, value = values[-1]
        condition = f"{column.quoted} {last} {value}"
        for column, value in reversed(values[:-1]):
            # The first comparison says nothing new, except to the optimizer: it is what an index can use.
            name = column.quoted
            condition = f"{name} {strict}= {value} AND ({name} {strict} {value} OR ({condition}))"
        return condition

    @staticmethod
    def _values_of(column: Column, values: Sequence[Any]) -> list[Any]:
        if column.key_kind == "number":
            return [int(value) for value in values]
        return [value.decode() if isinstance(value, bytes) else value for value in values]

    def _values(self, key: Key) -> list[tuple[Column, str]]:
        return [(column, _literal(column, value)) for column, value in zip(self.columns, key, strict=False)]


def _shown(column: Column) -> str:
    if column.key_kind in ("decimal", "time"):
        return f"CAST({column.quoted} AS CHAR)"
    return f"HEX({column.quoted})" if column.key_kind == "binary" else column.quoted


def _literal(column: Column, value: Any) -> str:
    """Spell a value so that nothing in it can be read as SQL."""
    if column.key_kind == "number":
        return str(int(value))
    text = str(value)
    if column.key_kind == "binary":
        return f"x'{bytes.fromhex(text).hex()}'"
    if column.key_kind == "decimal":
        if not text.lstrip("-").replace(".", "", 1).isdigit():
            raise ValueError(text)
        return text
    return f"_utf8mb4 x'{text.encode().hex()}'" if text else "''"

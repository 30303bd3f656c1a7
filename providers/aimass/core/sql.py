"""SQL expressions over a table's columns, with mistakes told before any row is read."""

from __future__ import annotations

import re

import polars as pl

from aimass.core.errors import ConfigError, missing_column

# Quoted text and names are matched first, so that what looks like a number inside them is left alone.
DECIMAL_LITERAL = re.compile(r"""'[^']*'|"[^"]*"|(?<![\w.])(\d*\.\d+)(?![\w.])""")


def sql_expression(text: str, schema: pl.Schema, *, where: str) -> tuple[pl.Expr, pl.DataType]:
    """Parse one SQL expression, such as ``arr_delay > 15``, and return it with its type.

    Parameters
    ----------
    text : str
        The expression, in the SQL dialect of polars; one value per row.
    schema : polars.Schema
        The columns it may use.
    where : str
        The configuration key it stands in, for messages.

    Raises
    ------
    ConfigError
        It cannot be parsed, or does not fit the columns' types.
    SchemaMismatchError
        It names a column that is not there; the nearest name is told.
    """
    try:
        expression = pl.sql_expr(DECIMAL_LITERAL.sub(_as_float, text))
    except pl.exceptions.PolarsError as error:
        raise _mistake(text, where, error) from error
    for name in expression.meta.root_names():
        if name not in schema:
            raise missing_column(name, schema.names(), where=f"the tables that {where} ({text!r}) sees")
    try:
        found = pl.DataFrame(schema=schema).select(expression.alias("value"))
    except pl.exceptions.PolarsError as error:
        raise _mistake(text, where, error) from error
    if found.height:
        raise ConfigError(
            f"{where} ({text!r}) gives one value for the whole table",
            expected="an expression with a value for each row",
            expression=text,
        )
    return expression, found.schema["value"]


def _as_float(match: re.Match[str]) -> str:
    """Spell 1.5 as 1.5e0: polars reads the first as a decimal, which rounds quotients to six digits."""
    return f"{match[0]}e0" if match[1] else match[0]


def _mistake(text: str, where: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"{where} ({text!r}) is no valid expression: {str(error).splitlines()[0]}",
        expected="a SQL expression over the columns, such as `arr_delay > 15`",
        expression=text,
    )

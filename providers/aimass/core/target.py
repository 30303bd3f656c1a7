"""The target: a column or an expression with exactly two values."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Literal

import polars as pl
from pydantic import Field

from aimass.core.errors import TargetError, nearest_name
from aimass.core.settings import Settings
from aimass.core.sql import sql_expression

SHOWN_CLASSES = 10

NULL_WITH_TARGET = "null_with_target"
"""Column tag: JSON ``[rows where the column is null, rows]`` among the rows dropped because their target is null. What
is missing together with the outcome was written down together with it; explore reads this."""


class TargetSettings(Settings):
    """What is to be predicted."""

    name: str = Field(description="Name of the target column.")
    expr: str | None = Field(default=None, description="SQL expression that gives it; the column itself when empty.")
    null: Literal["drop", "error"] = Field(
        default="error", description="What to do with rows whose target is null: leave them out, or fail."
    )
    positive: bool | int | str | None = Field(
        default=None, description="The value whose probability is predicted; true, or the greater one, when empty."
    )


def target_expression(settings: TargetSettings, schema: pl.Schema) -> pl.Expr:
    """Return the expression that gives the target.

    Raises
    ------
    TargetError
        There is no such column, or its type has no classes.
    """
    if settings.expr is not None:
        expression, kind = sql_expression(settings.expr, schema, where="target.expr")
    elif settings.name in schema:
        expression, kind = pl.col(settings.name), schema[settings.name]
    else:
        nearest = nearest_name(settings.name, schema.names())
        raise TargetError(
            f"The target column {settings.name!r} is not in the joined table",
            known=schema.names(),
            hint=f"Did you mean {nearest!r}?" if nearest else "Set target.expr to derive it",
            column=settings.name,
            nearest=nearest,
        )
    if not (kind == pl.Boolean or kind == pl.String or kind.is_integer()):
        raise TargetError(
            f"The target {settings.name!r} is of type {kind}",
            expected="a boolean, integer or string column with two values",
            hint="Set target.expr to a condition, such as `arr_delay > 15`",
            column=settings.name,
        )
    return expression.alias(settings.name)


class TargetWatch:
    """Look at the target as the rows pass, drop what may be dropped and refuse what cannot be learned.

    Attributes
    ----------
    dropped : int
        Rows left out because their target is null.
    classes : Counter
        Rows by value.
    """

    def __init__(self, settings: TargetSettings) -> None:
        self.dropped = 0
        self.classes: Counter[bool | int | str] = Counter()
        self._settings = settings
        self._nulls: Counter[str] = Counter()

    def see(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of `batch` that have a target."""
        name = self._settings.name
        nulls = batch[name].null_count()
        if nulls:
            if self._settings.null == "error":
                raise TargetError(
                    f"The target {name!r} is null in {nulls:,} of {batch.height:,} rows",
                    expected="a value in every row",
                    hint="Set target.null to drop, or change target.expr or where",
                    column=name,
                )
            self.dropped += nulls
            without = batch.filter(pl.col(name).is_null()).drop(name).null_count()
            self._nulls.update(dict(zip(without.columns, without.row(0), strict=True)))
            batch = batch.filter(pl.col(name).is_not_null())
        self.classes.update(dict(batch[name].value_counts().iter_rows()))
        if len(self.classes) > 2:
            raise self._error(f"has more than two values ({self._shown()}, …)", "only binary targets are supported")
        return batch

    def finish(self) -> None:
        """Raise TargetError unless there were exactly two values, one of them the positive one."""
        if not self.classes:
            raise self._error("is null in every row", "a value in some rows")
        if len(self.classes) == 1:
            raise self._error(f"is constant: every row has {self._shown()}", "two different values")
        positive = self._settings.positive
        # A yes-or-no value is written true in data and True in Python: both are meant.
        names = {str(value).lower() if isinstance(value, bool) else str(value) for value in self.classes}
        if positive is not None and not {str(positive), str(positive).lower()} & names:
            raise self._error(
                f"never has the positive value {positive!r}", f"one of {self._shown()}", positive=positive
            )

    def tags(self) -> dict[str, dict[str, str]]:
        """Return the tag `NULL_WITH_TARGET` of every column that was null in some of the dropped rows."""
        return {
            name: {NULL_WITH_TARGET: json.dumps([count, self.dropped])} for name, count in self._nulls.items() if count
        }

    def _shown(self) -> str:
        return ", ".join(repr(value) for value in sorted(self.classes, key=str)[:SHOWN_CLASSES])

    def _error(self, seen: str, expected: str, **details: Any) -> TargetError:
        return TargetError(
            f"The target {self._settings.name!r} {seen}",
            expected=expected,
            hint="Change target.expr, where, or the source",
            column=self._settings.name,
            **details,
        )

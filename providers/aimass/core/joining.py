"""Join one table to another without ever multiplying rows."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from aimass.core.datasets import collect
from aimass.core.errors import DataError, SchemaMismatchError, missing_column
from aimass.core.settings import Settings

MARKER = "\u0000matched:"
"""Prefix of the column that says whether a row found its partner; no table can have such a name."""


class JoinStep(Settings):
    """One table that joins."""

    table: str = Field(description="Name of the table.")
    on: tuple[str, ...] | dict[str, str] = Field(
        description="Columns that must be equal: a list where both sides use the same names, else left to right name."
    )
    how: Literal["left", "inner"] = Field(default="left", description="Keep rows without a partner, or not.")
    prefix: str = Field(
        default="",
        description="Put before the joined columns' names; where it is empty, a taken name gets the table's name.",
    )

    @property
    def keys(self) -> dict[str, str]:
        """Left name to right name."""
        return self.on if isinstance(self.on, dict) else {name: name for name in self.on}


def join_table(left: pl.LazyFrame, right: pl.LazyFrame, step: JoinStep) -> pl.LazyFrame:
    """Join `right`, keeping the order of `left`; adds a marker column for a left join.

    Raises
    ------
    SchemaMismatchError
        A key is missing or has another type on the other side.
    DataError
        A row would find more than one partner.
    """
    left_schema, right_schema = left.collect_schema(), right.collect_schema()
    _check_keys(left_schema, right_schema, step)
    right_keys = list(step.keys.values())
    right = right.with_columns(
        pl.col(mine).cast(left_schema[theirs], strict=False)
        for theirs, mine in step.keys.items()
        if right_schema[mine] != left_schema[theirs]
    ).drop_nulls(right_keys)
    _refuse_multiplication(left, right, step)
    names = {
        name: f"{step.prefix or f'{step.table}_'}{name}" if step.prefix or name in left_schema else name
        for name in right_schema.names()
        if name not in right_keys
    }
    taken = [new for new in names.values() if new in left_schema]
    if taken:
        raise SchemaMismatchError(
            f"The table {step.table!r} would bring a second column {taken[0]!r}",
            hint=f"Set another `prefix` for {step.table!r}",
            column=taken[0],
        )
    right = right.rename(names).with_columns(pl.lit(True).alias(f"{MARKER}{step.table}"))
    return left.join(
        right, left_on=list(step.keys), right_on=right_keys, how=step.how, coalesce=True, maintain_order="left"
    )


def _check_keys(left: pl.Schema, right: pl.Schema, step: JoinStep) -> None:
    for mine, theirs in step.keys.items():
        if mine not in left:
            raise missing_column(mine, left.names(), where=f"the rows that {step.table!r} joins")
        if theirs not in right:
            raise missing_column(theirs, right.names(), where=f"the table {step.table!r}")
        are_integers = left[mine].is_integer() and right[theirs].is_integer()
        if left[mine] != right[theirs] and not are_integers:
            raise SchemaMismatchError(
                f"{mine!r} is of type {left[mine]}, but {theirs!r} of {step.table!r} is of type {right[theirs]}",
                expected="the same type on both sides of a join",
                hint="Set `types` of one of the sources",
                column=mine,
            )


def _refuse_multiplication(left: pl.LazyFrame, right: pl.LazyFrame, step: JoinStep) -> None:
    right_keys = list(step.keys.values())
    repeated = collect(right.group_by(right_keys).len("rows").filter(pl.col("rows") > 1))
    if not repeated.height:
        return
    wanted = left.select(pl.col(mine).alias(theirs) for mine, theirs in step.keys.items())
    # The many rows go left: polars keeps the right side of a join in memory.
    met = collect(wanted.join(repeated.lazy(), on=right_keys, how="inner").sort(right_keys).head(1))
    if met.height:
        row = met.row(0, named=True)
        count = row.pop("rows")
        key = ", ".join(f"{name}={value}" for name, value in row.items())
        raise DataError(
            f"The join with {step.table!r} would multiply rows: {count:,} of its rows have {key}",
            expected=f"at most one row of {step.table!r} per {', '.join(right_keys)}",
            hint="Add a column to `on`, or remove the repeated rows where the table is made",
            table=step.table,
            key=key,
        )

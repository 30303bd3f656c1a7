"""Join: bring the ingested tables together as one, derive columns and the target, and mark what each column is."""

from __future__ import annotations

from typing import Annotated

import polars as pl
from pydantic import Field

from aimass.core.datasets import batches, collect, open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, EmptyDataError, UnknownNameError, missing_column
from aimass.core.joining import MARKER, JoinStep, join_table
from aimass.core.matrix import ROLE
from aimass.core.progress import ProgressEvent
from aimass.core.settings import InputMarker
from aimass.core.sql import sql_expression
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult
from aimass.core.target import TargetSettings, TargetWatch, target_expression


class JoinConfig(StageConfig):
    """Which tables, how they meet, and what is asked."""

    tables: Annotated[dict[str, str], InputMarker()] = Field(description="The ingested tables: name to URI.")
    base: str = Field(description="The table whose rows and order are kept.")
    joins: tuple[JoinStep, ...] = Field(default=(), description="The other tables, in the order in which they join.")
    derive: dict[str, str] = Field(
        default_factory=dict, description="New columns: name to SQL expression; a later one may use an earlier one."
    )
    where: str | None = Field(default=None, description="SQL condition that rows must meet.")
    columns: tuple[str, ...] | None = Field(default=None, description="Only these columns, in this order.")
    id_columns: tuple[str, ...] = Field(default=(), description="Columns that name a row; never features.")
    time_column: str | None = Field(default=None, description="When the row's event happened.")
    target: TargetSettings | None = Field(default=None, description="What is to be predicted.")


class JoinResult(StageResult):
    """What came together."""

    rows: int = Field(default=0, description="Rows of the table.")
    columns: int = Field(default=0, description="Columns of the table.")
    dropped_null_target: int = Field(default=0, description="Rows left out because their target is null.")
    unmatched: dict[str, int] = Field(
        default_factory=dict,
        description="By joined table: rows without a partner, among those kept (left join) or before (inner join).",
    )
    classes: dict[str, int] = Field(default_factory=dict, description="Rows by value of the target.")


def _join(config: JoinConfig, deps: Deps, output: Output) -> JoinResult:
    frame, unmatched = _joined(config, deps)
    frame = _shaped(frame, config)
    watch = TargetWatch(config.target) if config.target else None
    markers = [name for name in frame.collect_schema().names() if name.startswith(MARKER)]
    writer = output.dataset(tags=_tags(config))
    rows = 0
    for batch in batches(frame):
        if watch is not None:
            batch = watch.see(batch)
        for marker in markers:
            table = marker.removeprefix(MARKER)
            unmatched[table] = unmatched.get(table, 0) + batch[marker].null_count()
        writer.write(batch.drop(markers))
        rows += batch.height
        deps.progress.report(ProgressEvent("joining", done=rows, unit="rows"))
    if watch is not None and (rows or watch.dropped):
        watch.finish()
        for name, tags in watch.tags().items():
            writer.tag(name, tags)
    if not rows:
        raise EmptyDataError("The join left no rows", expected="at least one", hint="Check `where` and inner joins")
    return JoinResult(
        rows=rows,
        columns=len(writer.columns),
        dropped_null_target=watch.dropped if watch else 0,
        unmatched=unmatched,
        classes={str(value): count for value, count in sorted(watch.classes.items())} if watch else {},
    )


def _joined(config: JoinConfig, deps: Deps) -> tuple[pl.LazyFrame, dict[str, int]]:
    """Return base and tables as one, and for inner joins how many rows found no partner."""
    tables = {name: open_dataset(uri, deps).scan() for name, uri in config.tables.items()}
    for name in [config.base, *(step.table for step in config.joins)]:
        if name not in tables:
            raise UnknownNameError("table", name, tables)
    frame, unmatched = tables[config.base], {}
    for step in config.joins:
        joined = join_table(frame, tables[step.table], step)
        if step.how == "inner":
            unmatched[step.table] = _count(frame) - _count(joined)
            joined = joined.drop(f"{MARKER}{step.table}")
        frame = joined
    return frame, unmatched


def _shaped(frame: pl.LazyFrame, config: JoinConfig) -> pl.LazyFrame:
    """Derive, filter, add the target and select."""
    for name, text in config.derive.items():
        expression, _ = sql_expression(text, frame.collect_schema(), where=f"derive.{name}")
        frame = frame.with_columns(expression.alias(name))
    if config.where is not None:
        condition, kind = sql_expression(config.where, frame.collect_schema(), where="where")
        if kind != pl.Boolean:
            raise ConfigError(f"where ({config.where!r}) gives {kind}", expected="a condition that is true or false")
        frame = frame.filter(condition)
    schema = frame.collect_schema()
    wanted = _wanted([name for name in schema.names() if not name.startswith(MARKER)], config)
    markers = [name for name in schema.names() if name.startswith(MARKER)]
    target = [target_expression(config.target, schema)] if config.target else []
    return frame.select(*wanted, *target, *markers)


def _wanted(known: list[str], config: JoinConfig) -> list[str]:
    """Return the columns to keep, identifiers and time first where `columns` leaves them out, without the target."""
    marked = [*config.id_columns, *([config.time_column] if config.time_column else [])]
    named = known if config.columns is None else [*marked, *config.columns]
    for name in [*marked, *named]:
        if name not in known:
            raise missing_column(name, known, where="the joined table")
    return [name for name in dict.fromkeys(named) if config.target is None or name != config.target.name]


def _tags(config: JoinConfig) -> dict[str, dict[str, str]]:
    tags = {name: {ROLE: "id"} for name in config.id_columns}
    if config.time_column:
        tags[config.time_column] = {ROLE: "time"}
    if config.target:
        positive = config.target.positive
        tags[config.target.name] = {ROLE: "target"} | ({} if positive is None else {"positive": str(positive)})
    return tags


def _count(frame: pl.LazyFrame) -> int:
    return int(collect(frame.select(pl.len())).item())


STAGE = Stage("join", JoinConfig, JoinResult, 1, _join)
run = STAGE.run

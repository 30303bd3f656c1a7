"""The first rows of a source, for people who want to see them and for checks before a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from aimass.core.backends import backend_of
from aimass.core.deps import Deps
from aimass.core.schemas import empty_table
from aimass.core.sources import SOURCES

SAMPLE_ROWS = 10_000
EXAMPLES = 3
CELL_CHARACTERS = 80


@dataclass(frozen=True)
class Sample:
    """The first rows.

    Attributes
    ----------
    rows : polars.DataFrame
        They, typed as ingest types them.
    reasons : dict of str to int
        How many rows between them do not fit, by reason.
    examples : list of str
        The first of those: place and reason.
    is_whole : bool
        Whether the source has no others.
    """

    rows: pl.DataFrame
    reasons: dict[str, int]
    examples: list[str]
    is_whole: bool


class ColumnPreview(BaseModel):
    """One column as far as the first rows show it."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Its name.")
    type: str = Field(description="text, integer, number, boolean, date, time or other.")
    examples: list[str] = Field(description="The first values that differ.")
    distinct: int = Field(description="Number of different values, null not counted.")
    missing_share: float = Field(description="Share of rows without a value.")


class Preview(BaseModel):
    """What a source looks like."""

    model_config = ConfigDict(frozen=True)

    columns: list[ColumnPreview] = Field(description="Its columns.")
    rows_seen: int = Field(description="How many rows were looked at.")
    rejected: int = Field(description="How many rows between them do not fit.")
    is_whole: bool = Field(description="Whether there are no others.")


def take_sample(document: Mapping[str, Any], deps: Deps, *, rows: int = SAMPLE_ROWS) -> Sample:
    """Return the first `rows` rows of the source that ``{"type": …}`` names; memory stays bounded.

    Raises
    ------
    NotFoundError, EmptyDataError, CorruptDataError, ConfigError, …
        What ingest would raise.
    """
    backend, settings = backend_of(SOURCES, dict(document))
    source = backend(settings, deps)
    position = source.position()
    tables = [empty_table(source.schema(position))]
    seen, reasons, examples = 0, Counter[str](), list[str]()
    for batch in source.read(position):
        if seen > rows:
            break
        tables.append(batch.rows.slice(0, rows + 1 - seen))
        seen += batch.rows.num_rows
        for reject in batch.rejects.to_pylist() if batch.rejects is not None else ():
            reasons[reject["reason"]] += 1
            examples.append(f"{reject['where']}: {reject['reason']}")
    frame = cast("pl.DataFrame", pl.from_arrow(pa.concat_tables(tables)))
    return Sample(rows=frame.head(rows), reasons=dict(reasons), examples=examples[:EXAMPLES], is_whole=seen <= rows)


def preview(sample: Sample) -> Preview:
    """Return what the columns of `sample` look like."""
    return Preview(
        columns=[_column(sample.rows[name]) for name in sample.rows.columns],
        rows_seen=sample.rows.height,
        rejected=sum(sample.reasons.values()),
        is_whole=sample.is_whole,
    )


def _column(values: pl.Series) -> ColumnPreview:
    present = values.drop_nulls()
    first = present.unique(maintain_order=True).head(EXAMPLES).to_list()
    return ColumnPreview(
        name=values.name,
        type=_kind(values.dtype),
        examples=[shown(value) for value in first],
        distinct=present.n_unique(),
        missing_share=values.null_count() / max(1, len(values)),
    )


def _kind(dtype: pl.DataType) -> str:
    if dtype in (pl.String, pl.Categorical):
        return "text"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype == pl.Date:
        return "date"
    if dtype.is_temporal():
        return "time"
    if dtype.is_integer():
        return "integer"
    return "number" if dtype.is_numeric() else "other"


def shown(value: Any) -> str:
    """Return a cell in so few characters that a table of them can be read."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= CELL_CHARACTERS else f"{text[: CELL_CHARACTERS - 1]}…"

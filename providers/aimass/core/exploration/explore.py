"""Put together the whole exploration of a dataset's training part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aimass.core.datasets import Dataset
from aimass.core.deps import Deps
from aimass.core.errors import EmptyDataError, TargetError
from aimass.core.exploration import associations, findings, label, leakage, statistics
from aimass.core.exploration.profile import ColumnProfile, Exploration, LeakageSuspect
from aimass.core.manifest import Column
from aimass.core.matrix import ROLE
from aimass.core.progress import ProgressEvent

if TYPE_CHECKING:
    import polars as pl

POSITIVE = "positive"
"""Column tag of a raw target: which of its two values is the positive one."""


def explore(dataset: Dataset, settings: leakage.LeakageSettings, deps: Deps) -> Exploration:
    """Return what the training part of `dataset` looks like.

    Raises
    ------
    EmptyDataError
        The training part has no rows.
    TargetError
        The target has nulls or a single value.
    """
    rows = dataset.rows("train")
    if rows == 0:
        raise EmptyDataError(
            f"The training part of {dataset.uri} has no rows",
            expected="a dataset that the split stage made, with rows for training",
            hint="Check the pipeline's `where` and the shares of `split`",
        )
    frame = dataset.scan("train")
    schema = frame.collect_schema()
    columns, sample = profile(frame, schema, rows, dataset.manifest.columns, deps)
    target = _target(columns, sample, dataset.manifest)
    codes = {name: label.encode(sample[name]) for name in sample.columns}
    suspects: list[LeakageSuspect] = []
    if target is not None:
        columns = [_with_label(column, sample, codes, target) for column in columns]
        tags = {column.name: column.tags for column in dataset.manifest.columns}
        features = [column for column in columns if column.role == "raw"]
        suspects = leakage.find_suspects(leakage.Case(features, sample, target.labels, tags), settings)
    found = associations.correlations(sample, _numbers(columns))
    links = associations.associations(found, sample, codes, _categories(columns))
    shown = target.profile if target else None
    return Exploration(
        dataset=dataset.manifest.digest,
        rows=rows,
        sample_rows=sample.height,
        columns=columns,
        target=shown,
        correlations=found,
        associations=links,
        leakage=suspects,
        findings=findings.find(rows, columns, shown, links, suspects),
    )


def profile(
    frame: pl.LazyFrame, schema: pl.Schema, rows: int, declared: list[Column], deps: Deps
) -> tuple[list[ColumnProfile], pl.DataFrame]:
    """Return every column's profile and the sample, in two passes over `frame`."""
    deps.progress.report(ProgressEvent("counting", 0, rows, "rows"))
    found = statistics.summaries(frame, schema, rows)
    sample = statistics.draw_sample(frame, schema, rows)
    tally = statistics.Tally(schema, found, sample)
    deps.progress.report(ProgressEvent("counting", rows, rows, "rows"))
    cells = rows * len(schema)
    tally.add_all(frame, lambda done: deps.progress.report(ProgressEvent("histograms", done, cells, "cells")))
    deps.progress.report(ProgressEvent("histograms", cells, cells, "cells"))
    columns = [_profile(column, schema[column.name], rows, found[column.name], tally, sample) for column in declared]
    return columns, sample


def _profile(
    column: Column,
    dtype: pl.DataType,
    rows: int,
    summary: dict[str, Any],
    tally: statistics.Tally,
    sample: pl.DataFrame,
) -> ColumnProfile:
    name, kind = column.name, statistics.kind_of(dtype)
    facts: dict[str, Any] = {"missing": summary["missing"]}
    facts |= {key: summary[key] for key in ("nan", "infinite") if key in summary}
    if kind in ("numeric", "temporal"):
        facts["numbers"] = statistics.numbers_of(summary, sample[name], tally.skew(name))
        facts["histogram"] = tally.histogram(name)
    if kind in ("category", "boolean"):
        facts["texts"] = statistics.texts_of(summary) if kind == "category" else None
    top = tally.top(name)
    if top is None and kind == "category":
        top, facts["top_is_exact"] = statistics.sampled_top(sample[name], rows / sample.height), False
    return ColumnProfile(
        name=name,
        type=column.type,
        kind=kind,
        role=column.tags.get(ROLE, "raw"),
        rows=rows,
        distinct=summary.get("distinct", 0),
        distinct_is_exact=rows <= statistics.EXACT_DISTINCT_ROWS,
        top=top or [],
        **facts,
    )


def _target(columns: list[ColumnProfile], sample: pl.DataFrame, manifest: Any) -> label.Target | None:
    found = next((column for column in columns if column.role == "target"), None)
    if found is None:
        return None
    if found.missing or found.nan:
        raise TargetError(
            f"The target {found.name!r} is missing in {found.missing + found.nan:,} of {found.rows:,} training rows",
            expected="a value in every row",
            hint="Set `null: drop` in the pipeline's `target`",
            column=found.name,
        )
    if found.name not in sample.columns:
        raise TargetError(
            f"The target {found.name!r} has the type {found.type}", expected="a yes-or-no, class or number"
        )
    positive = manifest.column(found.name).tags.get(POSITIVE)
    return label.read_target(found.name, sample[found.name], found.top if _has_classes(found) else [], positive)


def _has_classes(column: ColumnProfile) -> bool:
    return column.kind in ("category", "boolean") or column.distinct <= label.MOST_CLASSES


def _with_label(
    column: ColumnProfile, sample: pl.DataFrame, codes: dict[str, label.Codes], target: label.Target
) -> ColumnProfile:
    if column.role == "target" or column.name not in codes:
        return column
    missing = sample[column.name].is_null().to_numpy()
    return column.model_copy(update={"label": label.link(codes[column.name], missing, target.labels)})


def _numbers(columns: list[ColumnProfile]) -> list[str]:
    """Return the numeric columns worth correlating: not constant, the most telling ones where there are too many."""
    wanted = [c for c in columns if c.kind in ("numeric", "temporal") and c.distinct > 1]
    kept = {c.name for c in sorted(wanted, key=_telling)[: associations.MOST_NUMBERS]}
    return [column.name for column in wanted if column.name in kept]


def _categories(columns: list[ColumnProfile]) -> list[str]:
    wanted = [c for c in columns if c.kind in ("category", "boolean") and 1 < c.distinct <= associations.MOST_VALUES]
    return [column.name for column in sorted(wanted, key=_telling)]


def _telling(column: ColumnProfile) -> float:
    return -2.0 if column.role == "target" else -column.label.auc if column.label else 0.0

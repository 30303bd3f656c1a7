"""Fit a feature graph on the training rows of a cleaned dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aimass.core.datasets import Dataset
from aimass.core.features.base import Variable
from aimass.core.features.canonical import RawColumn, kind_of, raw_columns
from aimass.core.features.cleaned import CleanedColumns, feature_columns
from aimass.core.features.graph import FeatureGraph, cleaned_canonical, variables_after
from aimass.core.features.planning import Plan, plan_features
from aimass.core.manifest import Manifest
from aimass.core.matrix import ROLE

if TYPE_CHECKING:
    import polars as pl


def fit_graph(
    dataset: Dataset, raw: Manifest, cleaned: CleanedColumns, documents: Sequence[Mapping[str, Any]]
) -> tuple[FeatureGraph, dict[str, str]]:
    """Return the fitted graph, and the columns left out with the reason.

    Parameters
    ----------
    dataset : Dataset
        The cleaned rows; only the training part is read.
    raw : Manifest
        The dataset before cleaning.
    cleaned : CleanedColumns
        What clean decided.
    documents : sequence of mapping
        Configured transforms; the automatic ones when empty.
    """
    others = raw_columns(column for column in raw.columns if column.tags.get(ROLE) in ("id", "time"))
    columns = [*cleaned.raw, *others]

    def in_graph_types(rows: pl.LazyFrame) -> pl.LazyFrame:
        return cleaned_canonical(rows, columns, cleaned.transforms)

    start = [Variable(column.name, column.kind) for column in columns]
    variables = variables_after(start, cleaned.transforms)
    present = {name: variable for name, variable in variables.items() if name in dataset.columns}
    candidates = [column.name for column in feature_columns(dataset.manifest) if column.name in present]
    plan = Plan(
        in_graph_types(dataset.scan("train")),
        present,
        candidates,
        dropped=dict(cleaned.dropped) | _unusable(dataset.manifest),
        slices=lambda: map(in_graph_types, dataset.slices("train")),
    )
    plan_features(plan, documents)
    outputs = [variable.name for variable in plan.left()]
    used = {name for _, transform in [*cleaned.transforms, *plan.transforms] for name in transform.names} | {*outputs}
    graph = FeatureGraph(_used(columns, used), cleaned.transforms, plan.transforms, outputs)
    return graph, {name: reason for name, reason in plan.dropped.items() if name not in outputs}


def _used(columns: Sequence[RawColumn], used: set[str]) -> list[RawColumn]:
    return [column for column in columns if column.name in used]


def _unusable(manifest: Manifest) -> dict[str, str]:
    """Return the columns whose type no transform can use."""
    columns = [column for column in feature_columns(manifest) if kind_of(column.type) is None]
    return {column.name: f"no transform works on the type {column.type}" for column in columns}

"""Featurize: from cleaned rows to one float32 matrix, by a graph that also runs as ONNX."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, field_validator

from aimass.core.artifacts import Artifact
from aimass.core.backends import BackendOf, backend_of
from aimass.core.datasets import Dataset, collect, open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, TargetError
from aimass.core.features import FEATURES
from aimass.core.features.cleaned import CleanedColumns
from aimass.core.features.fitting import fit_graph
from aimass.core.features.graph import GRAPH_FILE, ONNX_FILE, FeatureGraph
from aimass.core.features.target import encoded, learn_classes
from aimass.core.manifest import Split
from aimass.core.matrix import CLASSES, ROLE, columns_with_role
from aimass.core.progress import ProgressEvent
from aimass.core.settings import InputUri
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
POSITIVE = "positive"
"""Column tag of a target whose positive class was named where it was derived."""


class FeaturizeConfig(StageConfig):
    """Which rows to turn into features, and how."""

    dataset: InputUri = Field(description="URI of the dataset that clean wrote.")
    raw: InputUri = Field(description="URI of the dataset that split wrote, for the raw columns' types.")
    features: Annotated[tuple[dict[str, Any], ...], BackendOf(FEATURES)] = Field(
        default=(),
        description="Transforms in order, each `{type: …, columns: …}`; chosen by the columns' types when empty.",
    )
    positive: str | int | bool | None = Field(
        default=None, description="The target's positive class; true, or the greater of the two, when left out."
    )

    @field_validator("features")
    @classmethod
    def _are_known(cls, value: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        for document in value:
            backend_of(FEATURES, document)
        return value


class FeaturizeResult(StageResult):
    """What the matrix looks like."""

    rows: dict[str, int] = Field(default_factory=dict, description="Rows, by split.")
    features: list[str] = Field(default_factory=list, description="Names of the features, in the matrix's order.")
    transforms: list[dict[str, Any]] = Field(default_factory=list, description="The transforms in order, with columns.")
    dropped_columns: dict[str, str] = Field(default_factory=dict, description="Columns left out, with the reason.")
    classes: list[str] = Field(default_factory=list, description="The target's classes, the positive one last.")


def featurize(config: FeaturizeConfig, deps: Deps, output: Output) -> FeaturizeResult:
    """Fit the graph on the training rows and write every split's matrix, ``graph.json`` and ``features.onnx``."""
    dataset = open_dataset(config.dataset, deps)
    raw = open_dataset(config.raw, deps)
    target = _target(dataset)
    tags = {column.name: column.tags for column in dataset.manifest.columns}
    positive = config.positive if config.positive is not None else tags[target].get(POSITIVE)
    classes = learn_classes(dataset, target, positive=positive)
    cleaned = CleanedColumns.load(Artifact(config.dataset, deps), raw.manifest)
    graph, dropped = fit_graph(dataset, raw.manifest, cleaned, config.features)
    keep = [column.name for column in dataset.manifest.columns if column.tags.get(ROLE) in ("id", "time")]
    _check_names(graph, [*keep, target])
    output.write_file(GRAPH_FILE, json.dumps(graph.document(), ensure_ascii=False, allow_nan=False))
    output.write_file(ONNX_FILE, graph.to_onnx().SerializeToString())
    target_tags = {**tags[target], CLASSES: json.dumps(classes, ensure_ascii=False)}
    features: dict[str, dict[str, str]] = {name: {ROLE: "feature"} for name in graph.outputs}
    writer = output.dataset(tags={**{name: tags[name] for name in keep}, **features, target: target_tags})
    rows: dict[str, int] = {}
    for split in [split for split in SPLITS if dataset.rows(split)]:
        rows[split] = 0
        for piece in dataset.slices(split):
            frame = graph.transform_cleaned(piece, keep=[*keep, target])
            batch = collect(frame.select(*keep, *graph.outputs, encoded(target, classes)))
            writer.write(batch, split=split)
            rows[split] += batch.height
            deps.progress.report(ProgressEvent(f"featurizing {split}", rows[split], dataset.rows(split), "rows"))
    transforms = [{"type": name, "columns": transform.names} for name, transform in graph.features]
    return FeaturizeResult(
        rows=rows, features=graph.outputs, transforms=transforms, dropped_columns=dropped, classes=classes
    )


def _target(dataset: Dataset) -> str:
    """Return the name of the target column."""
    names = columns_with_role(dataset.manifest.columns, "target")
    if not names:
        raise TargetError(
            f"The dataset {dataset.uri} has no target column",
            expected="a column tagged role=target",
            hint="Set `target` in the pipeline, so that the join stage derives it",
            uri=dataset.uri,
        )
    return names[0]


def _check_names(graph: FeatureGraph, kept: Sequence[str]) -> None:
    """Refuse a feature with the name of a column that is kept beside the matrix."""
    twice = sorted(set(graph.outputs) & set(kept))
    if twice:
        raise ConfigError(
            f"The feature {twice[0]!r} has the name of an id, time or target column",
            hint="Use a transform that makes new names, such as date_parts, frequency or ordinal",
            column=twice[0],
        )


STAGE = Stage("featurize", FeaturizeConfig, FeaturizeResult, code_version=1, body=featurize, modules=("polars", "onnx"))
run = STAGE.run

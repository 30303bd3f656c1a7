"""Clean: settle types, drop what is doubled or empty, tame what is far out."""

from __future__ import annotations

from typing import Annotated, Any

import polars as pl
from pydantic import Field, field_validator

from aimass.core.backends import BackendOf
from aimass.core.cleaning import CLEANING
from aimass.core.cleaning.base import ROW, Cleaning, StepReport
from aimass.core.cleaning.run import apply_steps, step_of
from aimass.core.datasets import Dataset, DatasetWriter, collect, open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import EmptyDataError
from aimass.core.features.canonical import raw_columns, readable
from aimass.core.features.cleaned import CLEAN_FILE, CleanedColumns, feature_columns
from aimass.core.manifest import Split
from aimass.core.progress import ProgressEvent
from aimass.core.settings import InputUri
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class CleanConfig(StageConfig):
    """Which rows to clean, and how."""

    dataset: InputUri = Field(description="URI of the dataset that split wrote.")
    steps: Annotated[tuple[dict[str, Any], ...] | None, BackendOf(CLEANING)] = Field(
        default=None,
        description="Cleaning steps in order, each `{type: …, columns: …}`: types, missing, duplicates, outliers, or a "
        "transform that changes values (fill, clip, log, scale); columns emptier than 95 % and repeated training rows "
        "are dropped when left out.",
    )

    @field_validator("steps")
    @classmethod
    def _are_known(cls, value: tuple[dict[str, Any], ...] | None) -> tuple[dict[str, Any], ...] | None:
        for document in value or ():
            step_of(document)
        return value


class CleanResult(StageResult):
    """What was done to the rows."""

    rows: dict[str, int] = Field(default_factory=dict, description="Rows left, by split.")
    steps: list[StepReport] = Field(default_factory=list, description="What each step did, in order.")
    dropped_columns: dict[str, str] = Field(default_factory=dict, description="Columns left out, with the reason.")
    warnings: list[str] = Field(default_factory=list, description="What a person should know.")


def clean(config: CleanConfig, deps: Deps, output: Output) -> CleanResult:
    """Apply the steps; those that change values are learned from the training rows and kept in ``clean.json``."""
    dataset = open_dataset(config.dataset, deps)
    splits = [split for split in SPLITS if dataset.rows(split)]
    if "train" not in splits:
        raise EmptyDataError(
            f"The dataset {dataset.uri} has no training rows",
            expected="the output of the split stage",
            uri=dataset.uri,
        )
    work = Cleaning({split: dataset.scan(split) for split in splits}, raw_columns(feature_columns(dataset.manifest)))
    reports = apply_steps(work, config.steps, deps.progress)
    if work.train_rows() == 0:
        raise EmptyDataError("The cleaning steps dropped every training row", hint="Loosen the steps that drop rows")
    cleaned = CleanedColumns(raw=work.raw, transforms=work.transforms, dropped=work.dropped)
    output.write_file(CLEAN_FILE, cleaned.to_json())
    writer = output.dataset(tags={column.name: column.tags for column in dataset.manifest.columns if column.tags})
    rows = {split: _write(work, split, writer, dataset, deps) for split in splits}
    return CleanResult(rows=rows, steps=reports, dropped_columns=work.dropped, warnings=work.warnings)


def _write(work: Cleaning, split: Split, writer: DatasetWriter, dataset: Dataset, deps: Deps) -> int:
    kinds = {variable.name: variable.kind for variable in work.variables.values()}
    seen = kept = 0
    for piece in dataset.slices(split):
        batch = collect(readable(work.cleaned(split, piece.with_row_index(ROW, offset=seen)), kinds).drop(ROW))
        writer.write(batch, split=split)
        seen += collect(piece.select(pl.len())).item()
        kept += batch.height
        deps.progress.report(ProgressEvent(f"cleaning {split}", seen, dataset.rows(split), "rows"))
    return kept


STAGE = Stage("clean", CleanConfig, CleanResult, code_version=1, body=clean, modules=("polars", "onnx"))
run = STAGE.run

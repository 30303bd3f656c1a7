"""Publish a frame as a dataset, as a stage would."""

from __future__ import annotations

import polars as pl
from pydantic import Field

from aimass.core.deps import Deps
from aimass.core.manifest import Split
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult

Tags = dict[str, dict[str, str]]


class _Config(StageConfig):
    name: str = Field(description="Name of the dataset.")


def publish_frame(
    deps: Deps, name: str, frame: pl.DataFrame, *, tags: Tags | None = None, split: Split | None = None
) -> str:
    """Return the URI of a new dataset with the rows of `frame`."""

    def body(config: _Config, deps: Deps, output: Output) -> StageResult:
        output.dataset(tags=tags).write(frame, split=split)
        return StageResult()

    return Stage(f"made_{name}", _Config, StageResult, 1, body).run(_Config(name=name), deps).uri

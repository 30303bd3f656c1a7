"""Split: give each row to training, validation or test, once, before anything is learned from the rows."""

from __future__ import annotations

from typing import Annotated, Any

import polars as pl
from pydantic import Field, field_validator

from aimass.core.backends import BackendOf, backend_of
from aimass.core.datasets import collect, open_dataset
from aimass.core.deps import Deps
from aimass.core.matrix import columns_with_role
from aimass.core.progress import ProgressEvent
from aimass.core.settings import InputUri
from aimass.core.splitting import SPLITTERS
from aimass.core.splitting.base import SHARES
from aimass.core.splitting.counts import ShareCounts, require_rows
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult


class SplitConfig(StageConfig):
    """What to split, and how."""

    dataset: InputUri = Field(description="The joined table.")
    split: Annotated[dict[str, Any], BackendOf(SPLITTERS)] = Field(
        description="The rule: `type` (time, group, stratified, random, k_fold) and that rule's settings."
    )

    @field_validator("split")
    @classmethod
    def _is_known(cls, value: dict[str, Any]) -> dict[str, Any]:
        backend_of(SPLITTERS, value)
        return value


class SplitResult(StageResult):
    """What each share got."""

    rows: dict[str, int] = Field(default_factory=dict, description="Rows by share: train, validation, test.")
    boundaries: dict[str, Any] = Field(default_factory=dict, description="Where the shares meet.")


def _split(config: SplitConfig, deps: Deps, output: Output) -> SplitResult:
    dataset = open_dataset(config.dataset, deps)
    backend, settings = backend_of(SPLITTERS, config.split)
    splitter = backend(settings)
    dataset.require(*splitter.columns())
    n_rows = dataset.rows()
    require_rows(n_rows)
    boundaries = splitter.fit(dataset.scan(columns=splitter.columns() or None), n_rows)
    counts = ShareCounts(columns_with_role(dataset.manifest.columns, "target"))
    writer = output.dataset(tags={column.name: column.tags for column in dataset.manifest.columns})
    first_row = 0
    for batch in map(collect, dataset.slices()):
        codes = pl.Series(splitter.assign(batch, first_row))
        first_row += batch.height
        for code, share in enumerate(SHARES):
            rows = batch.filter(codes == code)
            if rows.height:
                writer.write(rows, split=share)
                counts.see(rows, share)
        deps.progress.report(ProgressEvent("splitting", done=first_row, total=n_rows, unit="rows"))
    counts.check()
    return SplitResult(rows={str(share): count for share, count in counts.rows.items()}, boundaries=boundaries)


STAGE = Stage("split", SplitConfig, SplitResult, 1, _split)
run = STAGE.run

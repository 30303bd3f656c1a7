"""Split: give each row to training, validation or test, once, before anything is learned from the rows."""

from __future__ import annotations

from typing import Annotated, Any

import polars as pl
from pydantic import Field, field_validator

from aimass.core.backends import BackendOf, backend_of
from aimass.core.datasets import Dataset, collect, open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import EmptyDataError, TargetError
from aimass.core.matrix import columns_with_role
from aimass.core.progress import ProgressEvent
from aimass.core.settings import InputUri
from aimass.core.splitting import SPLITTERS
from aimass.core.splitting.base import SHARES
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
    if n_rows < len(SHARES):
        raise EmptyDataError(f"{n_rows} rows cannot be split", expected=f"at least {len(SHARES)} rows")
    boundaries = splitter.fit(dataset.scan(columns=splitter.columns() or None), n_rows)
    counts = dict.fromkeys(SHARES, 0)
    classes = _Classes(dataset)
    writer = output.dataset(tags={column.name: column.tags for column in dataset.manifest.columns})
    first_row = 0
    for batch in map(collect, dataset.slices()):
        codes = pl.Series(splitter.assign(batch, first_row))
        first_row += batch.height
        for code, share in enumerate(SHARES):
            rows = batch.filter(codes == code)
            if rows.height:
                writer.write(rows, split=share)
                counts[share] += rows.height
                classes.see(rows, share)
        deps.progress.report(ProgressEvent("splitting", done=first_row, total=n_rows, unit="rows"))
    _refuse_empty(counts, n_rows)
    classes.check()
    return SplitResult(rows={str(share): count for share, count in counts.items()}, boundaries=boundaries)


class _Classes:
    """The target's values in each share."""

    def __init__(self, dataset: Dataset) -> None:
        self._targets = columns_with_role(dataset.manifest.columns, "target")
        self._seen: dict[str, set[Any]] = {share: set() for share in SHARES}

    def see(self, rows: pl.DataFrame, share: str) -> None:
        """Take note of the values in `rows`."""
        for name in self._targets:
            self._seen[share].update(rows[name].unique().to_list())

    def check(self) -> None:
        """Raise TargetError where a share has one value only: it can neither train nor judge a model."""
        for share, values in self._seen.items():
            if self._targets and len(values) < 2:
                raise TargetError(
                    f"In the {share} share every row has the target {next(iter(values))!r}",
                    expected="both classes in each share",
                    hint="Choose other shares, or split by `stratified`",
                    split=share,
                )


def _refuse_empty(counts: dict[Any, int], n_rows: int) -> None:
    for share, count in counts.items():
        if not count:
            raise EmptyDataError(
                f"The {share} share of {n_rows:,} rows is empty",
                expected="rows in train, validation and test",
                hint="Give more rows or larger shares; a time or group column needs enough different values",
                split=share,
            )


STAGE = Stage("split", SplitConfig, SplitResult, 1, _split)
run = STAGE.run

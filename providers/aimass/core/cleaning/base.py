"""What a cleaning step is: it edits the canonical form, adds a transform, drops a column or drops training rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from aimass.core import settings
from aimass.core.datasets import collect
from aimass.core.errors import ConfigError, UnknownNameError
from aimass.core.features.base import Transform, Variable
from aimass.core.features.canonical import RawColumn, canonical, expression
from aimass.core.features.planning import fit_transform
from aimass.core.manifest import Split

Frames = dict[Split, pl.LazyFrame]
Step = Callable[[pl.LazyFrame], pl.LazyFrame]

ROW = "\nrow"
"""Column with each row's number in its share of the split, as the split stage wrote it; never written."""


class StepReport(BaseModel):
    """What one cleaning step did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str = Field(description="Type of the step.")
    columns: list[str] = Field(default_factory=list, description="Columns that it changed or dropped.")
    rows_touched: int = Field(default=0, description="Rows of all splits in which it changed a value.")
    cells_touched: int = Field(default=0, description="Values that it changed.")
    rows_dropped: int = Field(default=0, description="Training rows that it dropped.")


class CleanStep(Protocol):
    """A cleaning step. Constructed as ``Step(settings)``."""

    Settings: ClassVar[type[settings.Settings]]

    def __init__(self, settings: Any) -> None: ...

    def apply(self, work: Cleaning) -> list[StepReport]:
        """Learn from the training rows of `work` and change it; report what was done."""


class Cleaning:
    """The rows and what has been decided about them so far.

    Parameters
    ----------
    frames : dict
        Rows of each split as the split stage wrote them.
    raw : sequence of RawColumn
        The feature columns; columns of other roles are never changed.

    Attributes
    ----------
    frames : dict
        Rows of each split in canonical form, after the steps so far; nothing is computed before it is asked for.
    variables : dict
        The feature columns that stand, by name.
    transforms : list
        Value-changing steps, fitted, with their names.
    dropped : dict
        Columns left out, with the reason.
    warnings : list of str
        What a person should know.
    sources : dict
        The rows as they came.
    """

    def __init__(self, frames: Frames, raw: Sequence[RawColumn]) -> None:
        self.raw = list(raw)
        self.variables = {column.name: Variable(column.name, column.kind) for column in raw}
        self.transforms: list[tuple[str, Transform]] = []
        self.dropped: dict[str, str] = {}
        self.warnings: list[str] = []
        self.sources = frames
        self._steps: list[tuple[Step, bool]] = []
        self.frames = self._all_cleaned()

    @property
    def train(self) -> pl.LazyFrame:
        """The training rows, as they stand."""
        return self.frames["train"]

    def train_rows(self) -> int:
        """Return the number of training rows."""
        return int(collect(self.train.select(pl.len())).item())

    def columns(self, names: Sequence[str] | None, *, kinds: Sequence[str] = ()) -> list[Variable]:
        """Return the feature columns `names`, or all of `kinds` when None; an unknown one is an UnknownNameError."""
        for name in names or ():
            if name not in self.variables:
                raise UnknownNameError("feature column", name, self.variables)
        if names is not None:
            return [self.variables[name] for name in names]
        return [variable for variable in self.variables.values() if not kinds or variable.kind in kinds]

    def convert(self, columns: Sequence[RawColumn]) -> None:
        """Give raw columns another canonical form; only before any other step has changed something."""
        if self._steps:
            raise ConfigError(
                "A step `types` stands after a step that changes values or drops rows",
                expected="the steps `types` first, since types are settled before the graph",
                hint="Move it to the top of `steps`",
            )
        changed = {column.name: column for column in columns}
        self.raw = [changed.get(column.name, column) for column in self.raw]
        self.variables |= {column.name: Variable(column.name, column.kind) for column in columns}
        self.frames = self._all_cleaned()

    def report_types(self, names: Sequence[str]) -> StepReport:
        """Report what the canonical form changes in `names`: text that differs, and values that went missing."""
        schema = self.sources["train"].collect_schema()
        changes = [_canonical_change(column, schema[column.name]) for column in self.raw if column.name in names]
        rows, cells = count_changes(self.sources, changes)
        return StepReport(step="types", columns=list(names), rows_touched=rows, cells_touched=cells)

    def add_transform(self, document: Mapping[str, Any]) -> StepReport:
        """Fit a value-changing transform on the training rows and apply it to all rows."""
        name, transform = fit_transform(document, self.train, self.variables, self.variables.values())
        if not transform.replaces:
            raise ConfigError(
                f"The transform {name!r} makes new features",
                expected="a transform that changes values in clean",
                hint="Move it to `features`",
            )
        before = self.frames
        self._add(lambda frame: frame.with_columns(transform.expressions()))
        self.transforms.append((name, transform))
        self.variables |= {output.name: output for output in transform.outputs()}
        changes = [
            _differs(expression) for expression in transform.expressions() if _target(expression) in transform.names
        ]
        rows, cells = count_changes(before, changes)
        return StepReport(step=name, columns=transform.names, rows_touched=rows, cells_touched=cells)

    def drop_column(self, name: str, reason: str) -> None:
        """Leave a feature column out."""
        self.dropped[name] = reason
        self.variables.pop(name)
        self._add(lambda frame: frame.drop(name))

    def keep_rows(self, condition: pl.Expr) -> int:
        """Keep the training rows for which `condition` holds, and all others; return how many were dropped."""
        before = self.train_rows()
        self._add(lambda frame: frame.filter(condition), is_for_training=True)
        return before - self.train_rows()

    def cleaned(self, split: Split, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return some rows of a share, as they came but with their numbers in the column `ROW`, after all steps."""
        rows = canonical(rows, self.raw)
        for step, is_for_training in self._steps:
            rows = step(rows) if split == "train" or not is_for_training else rows
        return rows

    def _add(self, step: Step, *, is_for_training: bool = False) -> None:
        self._steps.append((step, is_for_training))
        self.frames = {
            split: step(frame) if split == "train" or not is_for_training else frame
            for split, frame in self.frames.items()
        }

    def _all_cleaned(self) -> Frames:
        return {split: self.cleaned(split, frame.with_row_index(ROW)) for split, frame in self.sources.items()}


def count_changes(frames: Frames, changes: Sequence[pl.Expr]) -> tuple[int, int]:
    """Return in how many rows at least one of the boolean expressions `changes` holds, and how many hold in all."""
    if not changes:
        return 0, 0
    flags = [change.alias(f"{index}") for index, change in enumerate(changes)]
    rows = cells = 0
    for frame in frames.values():
        counted = frame.select(flags).select(
            pl.any_horizontal(pl.all()).sum().alias("rows"), pl.sum_horizontal(pl.all().sum()).alias("cells")
        )
        found = collect(counted).row(0)
        rows, cells = rows + int(found[0] or 0), cells + int(found[1] or 0)
    return rows, cells


def _canonical_change(column: RawColumn, dtype: pl.DataType) -> pl.Expr:
    before, after = pl.col(column.name), expression(column, dtype)
    if dtype == pl.String and column.kind == "string":
        return before.ne_missing(after)
    return before.is_not_null() & after.is_null()


def _target(expression: pl.Expr) -> str:
    return str(expression.meta.output_name())


def _differs(expression: pl.Expr) -> pl.Expr:
    return expression.ne_missing(pl.col(_target(expression)))

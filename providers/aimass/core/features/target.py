"""The target: its two classes, learned from the training rows, and its encoding as 0 and 1."""

from __future__ import annotations

from typing import Any

import polars as pl

from aimass.core.datasets import Dataset, collect
from aimass.core.errors import TargetError
from aimass.core.manifest import Split

FIX_NULLS = "Set `null: drop` in the pipeline's target, or an `expr` that is never null"


def learn_classes(dataset: Dataset, column: str, *, positive: Any = None) -> list[str]:
    """Return the two classes of the training rows, the positive one last.

    Parameters
    ----------
    dataset : Dataset
        The cleaned dataset.
    column : str
        Its target column.
    positive : optional
        The positive class; True, or the greater of the two, when None.

    Raises
    ------
    TargetError
        A target is missing, all targets are equal, there are more than two classes, `positive` is none of them, or
        validation or test rows have a class that no training row has.
    """
    classes = _classes(dataset, column, "train")
    if len(classes) != 2:
        raise TargetError(
            f"The target {column!r} has {_counted(classes)} in the training rows",
            expected="two classes",
            hint="Check the target's `expr`, or split so that the training rows hold both classes"
            if len(classes) < 2
            else "Turn it into a yes/no question with the target's `expr`",
            column=column,
            classes=classes[:20],
        )
    for split in ("validation", "test"):
        unseen = [name for name in _classes(dataset, column, split) if name not in classes]
        if unseen:
            raise TargetError(
                f"The {split} rows have the class {unseen[0]!r} of the target {column!r}, which no training row has",
                known=classes,
                hint="Split so that the training rows hold every class, or merge classes with the target's `expr`",
                column=column,
                unseen=unseen,
            )
    return _positive_last(classes, column, positive)


def encoded(column: str, classes: list[str]) -> pl.Expr:
    """Return the polars expression of the target as Int8: 1 for the last of `classes`."""
    return (class_text(column) == classes[-1]).cast(pl.Int8).alias(column)


def class_text(column: str) -> pl.Expr:
    """Return the classes as text: whole floats without ``.0``, booleans as true and false."""
    return pl.col(column).cast(pl.String).str.replace(r"^(-?[0-9]+)\.0$", "${1}")


def _classes(dataset: Dataset, column: str, split: Split) -> list[str]:
    """Return the classes of one share in order of value; raises TargetError where a target is missing."""
    frame = dataset.scan(split, columns=[column])
    counted = collect(frame.group_by(column).agg(pl.len().alias("\nrows"))).sort(column)
    missing = counted.filter(pl.col(column).is_null())
    if missing.height:
        raise TargetError(
            f"The target {column!r} is missing in {missing.item(0, 1):,} {split} rows",
            expected="a value in every row",
            hint=FIX_NULLS,
            column=column,
        )
    return collect(counted.lazy().select(class_text(column))).to_series().to_list()


def _positive_last(classes: list[str], column: str, positive: Any) -> list[str]:
    if positive is None:
        return classes
    text = str(positive) if str(positive) in classes else str(positive).lower()  # True is written true
    if text not in classes:
        raise TargetError(
            f"The positive class {text!r} of the target {column!r} is none of the classes", known=classes, column=column
        )
    return [name for name in classes if name != text] + [text]


def _counted(classes: list[str]) -> str:
    if not classes:
        return "no value"
    return f"one value only ({classes[0]})" if len(classes) == 1 else f"{len(classes)} classes"

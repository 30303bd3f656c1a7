"""From a featurized dataset to what models are fitted on: one float32 matrix and a vector of classes."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aimass.core.datasets import Dataset
from aimass.core.errors import EmptyDataError, SchemaMismatchError
from aimass.core.manifest import Column, Split

ROLE = "role"
"""Column tag whose values are feature, target, id and time."""

CLASSES = "classes"
"""Column tag of an encoded target: a JSON list of the original classes, the positive one last."""


@dataclass(frozen=True)
class Matrix:
    """Features and target of one share of the split.

    Attributes
    ----------
    X : array, shape (n_rows, n_features), float32
        The features, in the order of `names`.
    y : array, shape (n_rows,), int8
        1 for the positive class, 0 for the other.
    names : list of str
        Names of the features.
    classes : list of str
        The original classes, the positive one last.
    """

    X: npt.NDArray[np.float32]
    y: npt.NDArray[np.int8]
    names: list[str]
    classes: list[str]


def columns_with_role(columns: list[Column], role: str) -> list[str]:
    """Return the names of the columns tagged with `role`, in order."""
    return [column.name for column in columns if column.tags.get(ROLE) == role]


def target_column(dataset: Dataset) -> Column:
    """Return the dataset's target column; a SchemaMismatchError when it has none."""
    for column in dataset.manifest.columns:
        if column.tags.get(ROLE) == "target":
            return column
    raise SchemaMismatchError(
        f"The dataset {dataset.uri} has no target column",
        expected="a column tagged role=target",
        hint="Set `target` in the pipeline so that the join stage derives it",
        uri=dataset.uri,
    )


def load_matrix(dataset: Dataset, *splits: Split) -> Matrix:
    """Load one or more shares of a featurized dataset.

    Raises
    ------
    EmptyDataError
        The share has no rows.
    SchemaMismatchError
        The dataset was not made by the featurize stage.
    """
    names = columns_with_role(dataset.manifest.columns, "feature")
    target = target_column(dataset)
    if not names or CLASSES not in target.tags:
        raise SchemaMismatchError(
            f"The dataset {dataset.uri} has no feature matrix", expected="the output of the featurize stage"
        )
    frame = dataset.read(*splits, columns=[*names, target.name])
    if frame.height == 0:
        raise EmptyDataError(f"The {' and '.join(splits) or 'whole'} part of {dataset.uri} has no rows")
    return Matrix(
        X=np.ascontiguousarray(frame.select(names).to_numpy(), dtype=np.float32),
        y=frame[target.name].to_numpy().astype(np.int8),
        names=names,
        classes=list(json.loads(target.tags[CLASSES])),
    )

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import EmptyDataError, SchemaMismatchError
from aimass.core.matrix import columns_with_role, load_matrix, target_column
from tests.unit.core.publishing import Tags, publish_frame

FRAME = pl.DataFrame(
    {"id": [7, 8], "f1": [0.5, None], "late": [1, 0], "f2": [1.5, 2.5]},
    schema={"id": pl.Int64, "f1": pl.Float32, "late": pl.Int8, "f2": pl.Float32},
)
TAGS: Tags = {
    "id": {"role": "id"},
    "f1": {"role": "feature"},
    "f2": {"role": "feature"},
    "late": {"role": "target", "classes": json.dumps(["no", "yes"])},
}


def test_features_and_target_come_as_arrays(deps: Deps) -> None:
    dataset = open_dataset(publish_frame(deps, "d", FRAME, tags=TAGS, split="train"), deps)
    matrix = load_matrix(dataset, "train")
    assert matrix.names == columns_with_role(dataset.manifest.columns, "feature") == ["f1", "f2"]
    assert (matrix.X.dtype, matrix.y.dtype, matrix.classes) == (np.float32, np.int8, ["no", "yes"])
    assert np.array_equal(matrix.X, np.array([[0.5, 1.5], [np.nan, 2.5]], dtype=np.float32), equal_nan=True)
    assert matrix.y.tolist() == [1, 0]
    with pytest.raises(EmptyDataError, match="validation"):
        load_matrix(dataset, "validation")


@pytest.mark.parametrize(
    ("tags", "text"),
    [({}, "no target column"), ({"late": {"role": "target"}}, "no feature matrix")],
)
def test_other_datasets_are_refused(deps: Deps, tags: Tags, text: str) -> None:
    dataset = open_dataset(publish_frame(deps, "d", FRAME, tags=tags), deps)
    with pytest.raises(SchemaMismatchError, match=text):
        load_matrix(dataset)


def test_target_column_is_found_by_its_tag(deps: Deps) -> None:
    assert target_column(open_dataset(publish_frame(deps, "d", FRAME, tags=TAGS), deps)).name == "late"

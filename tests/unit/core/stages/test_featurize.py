"""Featurize: one matrix, a target of 0 and 1, and a graph that says the same online."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest

from aimass.core.artifacts import Artifact
from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps, Runtime
from aimass.core.errors import ConfigError, TargetError
from aimass.core.features.graph import FeatureGraph
from aimass.core.manifest import Split
from aimass.core.matrix import load_matrix
from aimass.core.stages.clean import CleanConfig
from aimass.core.stages.clean import run as clean
from aimass.core.stages.featurize import FeaturizeConfig, FeaturizeResult, run
from aimass.core.testing.datasets import publish_rows
from aimass.core.testing.transforms import random_rows

TAGS = {"y": {"role": "target"}, "key": {"role": "id"}, "d": {"role": "time"}}
STEPS = (
    {"type": "types", "columns": ["t"], "to": "float"},
    {"type": "outliers", "columns": ["g"], "multiple": 1.0},
    {"type": "fill", "columns": ["f"]},
    {"type": "duplicates", "columns": ["i", "s", "b"]},
)


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return Deps.from_runtime(Runtime(store=str(tmp_path)))


def rows(seed: int) -> pl.DataFrame:
    frame = random_rows(seed)
    texts = [f" {row / 8}" if row % 3 else "?" for row in range(frame.height)]
    return frame.with_columns(pl.Series("t", texts), pl.Series("key", range(frame.height)) + 2**30)


def featurize(
    deps: Deps, shares: dict[Split, pl.DataFrame], *, tags: dict[str, dict[str, str]] = TAGS, **config: Any
) -> tuple[FeaturizeResult, str]:
    raw = publish_rows(deps, shares, tags=tags)
    cleaned = clean(CleanConfig(dataset=raw, steps=config.pop("steps", ())), deps).uri
    return run(FeaturizeConfig(dataset=cleaned, raw=raw, **config), deps), raw


def test_raw_rows_online_give_the_matrix_that_the_stages_made(deps: Deps) -> None:
    shares: dict[Split, pl.DataFrame] = {"train": rows(1), "validation": rows(2), "test": rows(3)}
    features = ({"type": "date_parts", "columns": ["d"], "cyclic": True},)
    result, _ = featurize(deps, shares, steps=STEPS, features=features)
    graph = FeatureGraph.load(Artifact(result.uri, deps))
    model = Artifact(result.uri, deps).read_bytes("features.onnx")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for split in ("validation", "test"):
        matrix = load_matrix(open_dataset(result.uri, deps), split)
        online = session.run(None, graph.encode(shares[split].drop("y")))[0]
        assert np.abs(matrix.X - online).max() <= 1e-6
        assert np.array_equal(matrix.X, graph.transform(shares[split].lazy()).collect().to_numpy())
        assert np.array_equal(matrix.y, shares[split]["y"].cast(pl.Int8).to_numpy())
    assert {"f_missing", "t", "t_missing", "d_month_sin"} <= set(result.features)
    assert result.rows["train"] < 200


def test_ids_and_times_stay_beside_the_matrix(deps: Deps) -> None:
    result, _ = featurize(deps, {"train": rows(1), "test": rows(2)})
    dataset = open_dataset(result.uri, deps)
    assert dataset.columns == ["d", "key", *result.features, "y"]
    assert dataset.read("test")["key"].to_list() == rows(2)["key"].to_list()
    assert {column.type for column in dataset.manifest.columns if column.tags.get("role") == "feature"} == {"float"}
    assert result.classes == ["false", "true"]
    assert not {"key", "d"} & set(result.features)


def test_rows_that_never_went_through_clean_are_featurized_too(deps: Deps) -> None:
    raw = publish_rows(deps, {"train": rows(1), "test": rows(2)}, tags=TAGS)
    result = run(FeaturizeConfig(dataset=raw, raw=raw), deps)
    assert "s=JFK" in result.features


@pytest.mark.parametrize(
    ("values", "positive", "classes"),
    [
        ([False, True], None, ["false", "true"]),
        ([0, 1], None, ["0", "1"]),
        ([2.0, 10.0], None, ["2", "10"]),
        (["late", "on time"], "late", ["on time", "late"]),
        ([False, True], False, ["true", "false"]),
    ],
)
def test_the_positive_class_is_last(deps: Deps, values: list[Any], positive: Any, classes: list[str]) -> None:
    frame = pl.DataFrame({"x": range(10), "y": values * 5})
    result, _ = featurize(deps, {"train": frame, "test": frame}, tags={"y": {"role": "target"}}, positive=positive)
    assert result.classes == classes
    matrix = load_matrix(open_dataset(result.uri, deps), "train")
    first_is_positive = str(values[0]).lower().removesuffix(".0") == classes[1]
    assert matrix.y.tolist() == ([1, 0] if first_is_positive else [0, 1]) * 5


def test_the_joins_tag_names_the_positive_class(deps: Deps) -> None:
    frame = pl.DataFrame({"x": range(10), "y": [False, True] * 5})
    tags = {"y": {"role": "target", "positive": "False"}}
    assert featurize(deps, {"train": frame}, tags=tags)[0].classes == ["true", "false"]


@pytest.mark.parametrize(
    ("train", "test", "says"),
    [
        (["a"] * 4, ["a"], "one value only"),
        (["a", "b", "c", "a"], ["a"], "3 classes"),
        (["a", "b", "a", "b"], ["zebra"], "zebra"),
        (["a", "b", None, "a"], ["a"], "missing in 1 train rows"),
    ],
)
def test_a_target_that_cannot_be_learned_is_named(deps: Deps, train: list[Any], test: list[Any], says: str) -> None:
    shares: dict[Split, pl.DataFrame] = {
        "train": pl.DataFrame({"x": range(len(train)), "y": train}),
        "test": pl.DataFrame({"x": range(len(test)), "y": test}),
    }
    with pytest.raises(TargetError, match=says):
        featurize(deps, shares, tags={"y": {"role": "target"}})


def test_no_target_is_named(deps: Deps) -> None:
    with pytest.raises(TargetError, match="no target"):
        featurize(deps, {"train": pl.DataFrame({"x": [1, 2]})}, tags={})


def test_an_unknown_positive_class_is_named(deps: Deps) -> None:
    frame = pl.DataFrame({"x": range(4), "y": ["a", "b"] * 2})
    with pytest.raises(TargetError, match="'c'"):
        featurize(deps, {"train": frame}, tags={"y": {"role": "target"}}, positive="c")


def test_a_feature_with_an_ids_name_is_refused(deps: Deps) -> None:
    with pytest.raises(ConfigError, match="key"):
        featurize(deps, {"train": rows(1)}, features=({"type": "scale", "columns": ["key"]},))

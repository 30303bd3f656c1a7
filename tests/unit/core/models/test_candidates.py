from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aimass.core.errors import ConfigError, SchemaMismatchError, TargetError, UnknownNameError
from aimass.core.matrix import Matrix
from aimass.core.models.candidates import check_matrix, parse_candidates


def matrix(y: list[int], *, missing: bool = False) -> Matrix:
    X = np.ones((len(y), 2), dtype=np.float32)
    if missing:
        X[0, 1] = np.nan
    return Matrix(X, np.array(y, dtype=np.int8), ["a", "b"], ["no", "yes"])


def test_names_default_to_the_family_and_are_counted() -> None:
    documents = [
        {"type": "lightgbm"},
        {"type": "lightgbm", "num_leaves": 7},
        {"type": "decision_tree", "name": "small"},
    ]
    assert [spec.name for spec in parse_candidates(documents)] == ["lightgbm", "lightgbm_2", "small"]


@pytest.mark.parametrize(
    ("documents", "text"),
    [
        ([{"type": "lightgbm", "name": "a"}, {"type": "lightgbm", "name": "a"}], "Two candidates are called 'a'"),
        ([{"type": "lightgbm", "name": "../a"}], "letters, digits"),
        ([{"type": "lightgbm", "num_leave": 3}], "did you mean 'num_leaves'"),
        ([{"type": "lightgbm", "num_leaves": 10**9}], "num_leaves"),
        ([{"type": "lightgbm", "learning_rate": -1}], "learning_rate"),
        ([{"type": "lightgbm", "linear_tree": True}], "ONNX export is not exact"),
        ([{"type": "random_forest", "max_features": 2.0}], "max_features"),
        (["lightgbm"], "a mapping with the key 'type'"),
        ([{"num_leaves": 3}], "a mapping with the key 'type'"),
    ],
)
def test_a_mistake_is_a_config_error_that_names_it(documents: list[Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text.replace("(", r"\(")):
        parse_candidates(documents)


def test_an_unknown_family_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as raised:
        parse_candidates([{"type": "lightgmb"}])
    assert raised.value.details["nearest"] == "lightgbm"


@pytest.mark.parametrize(("y", "only"), [([0, 0], "no"), ([1, 1], "yes")])
def test_a_part_with_one_class_is_refused(y: list[int], only: str) -> None:
    with pytest.raises(TargetError, match=f"class '{only}' only"):
        check_matrix(matrix(y), "training")


def test_missing_values_are_refused_for_the_families_that_cannot_take_them() -> None:
    check_matrix(matrix([0, 1], missing=True), "training", ["lightgbm"])
    with pytest.raises(SchemaMismatchError, match="decision_tree cannot take: b") as raised:
        check_matrix(matrix([0, 1], missing=True), "training", ["lightgbm", "decision_tree"])
    assert raised.value.details["columns"] == ["b"]

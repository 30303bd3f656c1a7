from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.errors import SchemaMismatchError
from aimass.core.models.base import class_weights, floor_to_float32, require_finite

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(threshold=finite, x=st.floats(width=32, allow_nan=False))
def test_a_floored_threshold_splits_float32_values_as_before(threshold: float, x: float) -> None:
    assert (x <= threshold) == (x <= floor_to_float32([threshold])[0])


@given(threshold=finite)
def test_a_floored_threshold_is_exact_in_float32(threshold: float) -> None:
    floored = floor_to_float32([threshold])[0]
    assert np.float64(np.float32(floored)) == floored


def test_balanced_weights_give_both_classes_the_same_total() -> None:
    y = np.array([0, 0, 0, 1], dtype=np.int8)
    weights = class_weights(y, "balanced")
    assert weights is not None
    assert weights[y == 0].sum() == weights[y == 1].sum() == 2


def test_no_weighting_is_no_weights() -> None:
    assert class_weights(np.array([0, 1], dtype=np.int8), None) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_missing_value_is_named_by_its_feature(bad: float) -> None:
    X = np.zeros((3, 2), dtype=np.float32)
    X[1, 1] = bad
    with pytest.raises(SchemaMismatchError, match="age") as raised:
        require_finite(X, ["id", "age"], family="decision_tree")
    assert raised.value.details["columns"] == ["age"]

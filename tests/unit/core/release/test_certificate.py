import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.release.certificate import Certificate, Side, compare


def side(*probability: float, features: list[float] | None = None, threshold: float = 0.5) -> Side:
    values = np.array(probability)
    matrix = np.array(features or [0.0] * len(values), dtype=np.float32).reshape(-1, 1)
    return Side(matrix, values, (values >= threshold).astype(np.int64))


def certify(released: Side, native: Side, rows: int | None = None) -> Certificate:
    return compare(
        released,
        native,
        names=["x"],
        rows=len(native.probability) if rows is None else rows,
        threshold=0.5,
        model_sha256="0" * 64,
        versions={},
    )


def test_equal_sides_hold() -> None:
    found = certify(side(0.1, 0.9), side(0.1, 0.9))
    assert (found.ok, found.max_abs_diff, found.flips) == (True, 0.0, 0)


def test_float32_noise_is_within_tolerance() -> None:
    assert certify(side(0.1 + 1e-6, 0.9 - 5e-6), side(0.1, 0.9)).ok


def test_a_larger_difference_is_refused_and_the_worst_row_named() -> None:
    found = certify(side(0.1, 0.9001), side(0.1, 0.9), rows=1)
    assert not found.ok
    assert found.outside_tolerance == 1
    assert found.worst_row == {"kind": "edge", "index": 0, "released": 0.9001, "native": 0.9}


def test_a_flip_at_the_threshold_is_counted_and_allowed() -> None:
    found = certify(side(0.5 + 1e-7), side(0.5 - 1e-7))
    assert (found.ok, found.flips, found.flips_outside) == (True, 1, 0)


def test_a_flip_away_from_the_threshold_is_refused() -> None:
    found = certify(side(0.6), side(0.4))
    assert (found.ok, found.flips_outside) == (False, 1)


def test_a_discrete_difference_is_counted_and_named_but_may_not_flip_the_label() -> None:
    allowed = certify(side(0.7, features=[1.0]), side(0.6, features=[2.0]))
    assert (allowed.ok, allowed.near_edge_rows, allowed.differing_features) == (True, 1, {"x": 1})
    refused = certify(side(0.7, features=[1.0]), side(0.4, features=[2.0]))
    assert not refused.ok


def test_a_number_that_differs_is_no_edge() -> None:
    found = certify(side(0.7, features=[1.25]), side(0.6, features=[1.5]))
    assert (found.ok, found.near_edge_rows, found.differing_features) == (False, 0, {"x": 1})


def test_many_rows_at_edges_are_an_error() -> None:
    assert not certify(side(0.7, 0.7, features=[1.0, 1.0]), side(0.7, 0.7, features=[2.0, 2.0])).ok


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_same_special_value_on_both_sides_is_no_difference(value: float) -> None:
    assert certify(side(0.1, features=[value]), side(0.1, features=[value])).near_edge_rows == 0


def test_nan_on_one_side_is_a_difference() -> None:
    found = certify(side(np.nan), side(0.1))
    assert not found.ok
    assert found.max_abs_diff == np.inf


def test_few_rows_are_allowed_and_said() -> None:
    assert "Only 2 held-out rows" in certify(side(0.1, 0.9), side(0.1, 0.9)).warnings[0]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1))
def test_a_certificate_that_holds_has_no_flip_away_from_the_threshold(pairs: list[tuple[float, float]]) -> None:
    found = certify(side(*(a for a, _ in pairs)), side(*(b for _, b in pairs)))
    limit = 1e-6 + 1e-5
    assert found.ok == (found.outside_tolerance == 0 and found.flips_outside == 0)
    if found.ok:
        assert found.max_abs_diff <= limit

"""What `replay` says of an answer: the same bits, as close as another machine's, or another answer."""

from __future__ import annotations

import math

import pytest

from aimass.serving.replay import Replayed, told


def replayed(differing_rows: int, max_abs_diff: float, differing_labels: int = 0) -> Replayed:
    return Replayed("late", "1", "a" * 64, 3, differing_rows, differing_labels, max_abs_diff, threads=1)


def test_the_same_bits_are_told() -> None:
    found = replayed(0, 0.0)
    assert found.is_equal
    assert found.is_close
    assert "the same bits" in told(found)


def test_a_difference_as_of_another_machine_is_explained() -> None:
    found = replayed(2, 5e-7)
    assert not found.is_equal
    assert found.is_close
    assert "within 1e-06, which another CPU or ONNX Runtime" in told(found)


@pytest.mark.parametrize(("by", "labels"), [(0.01, 0), (5e-7, 1), (math.nan, 0)])
def test_another_answer_is_not_explained_away(by: float, labels: int) -> None:
    found = replayed(2, by, labels)
    assert not found.is_close
    assert "explains" not in told(found)
    assert "NOT the answer that was sent" in told(found)

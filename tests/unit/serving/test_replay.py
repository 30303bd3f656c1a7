"""What `replay` says of an answer: the same bits, as close as another machine's, or another answer."""

from __future__ import annotations

import math

import pytest

from aimass.serving.replay import Replayed, told


def replayed(
    differing_rows: int, max_abs_diff: float, differing_labels: int = 0, *, threads: int = 1, before: str = "there"
) -> Replayed:
    return Replayed(
        "late", "1", "a" * 64, 3, differing_rows, differing_labels, max_abs_diff, threads, before=before, now="here"
    )


def test_the_same_bits_are_told() -> None:
    found = replayed(0, 0.0)
    assert found.is_equal
    assert found.is_close
    assert "the same bits" in told(found)


@pytest.mark.parametrize(
    ("before", "threads", "why"),
    [
        ("there", 1, "as on another machine (there: there; here: here)"),
        ("", 1, "as on another machine (there: unknown; here: here)"),
        ("here", 4, "as by more than one thread (there: 4)"),
        ("here", 1, "though both ran on here in one thread"),
    ],
)
def test_a_close_answer_is_explained(before: str, threads: int, why: str) -> None:
    found = replayed(2, 5e-7, threads=threads, before=before)
    assert not found.is_equal
    assert found.is_close
    assert f"within 1e-06, {why}" in told(found)


@pytest.mark.parametrize(("by", "labels"), [(0.01, 0), (5e-7, 1), (math.nan, 0)])
def test_another_answer_is_not_explained_away(by: float, labels: int) -> None:
    found = replayed(2, by, labels)
    assert not found.is_close
    assert "another machine (there" not in told(found)
    assert "NOT the answer that was sent" in told(found)

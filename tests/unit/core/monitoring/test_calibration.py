"""Chances that are true, and effects that mean what they say."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.monitoring.calibration import (
    benjamini_hochberg,
    distance,
    g,
    jensen_shannon,
    p_values,
    wasserstein,
)
from aimass.core.monitoring.sketches import NumberSketch

COUNTS = st.lists(st.integers(0, 50), min_size=2, max_size=6)
DRAWS = 400


@given(COUNTS, st.integers(0, 5))
def test_chances_are_chances_and_repeat(counts: list[int], shift: int) -> None:
    reference = np.array(counts) + 1
    window = np.roll(np.array(counts), shift) + 1
    found = p_values(reference, window, (distance, g), draws=DRAWS, seed=3)
    assert found == p_values(reference, window, (distance, g), draws=DRAWS, seed=3)
    for statistic, p in found:
        assert statistic >= -1e-9
        assert 1 / (DRAWS + 1) <= p <= 1


def test_equal_shares_are_certain_not_to_differ_and_others_to_differ() -> None:
    even, uneven = np.array([500, 500]), np.array([900, 100])
    assert [p for _, p in p_values(even, even, (distance, g), draws=DRAWS, seed=0)] == [1, 1]
    assert [p for _, p in p_values(even, uneven, (distance, g), draws=DRAWS, seed=0)] == [1 / (DRAWS + 1)] * 2


def test_huge_counts_are_possible() -> None:
    reference = np.array([2 * 10**12, 2 * 10**12])
    [(_, p)] = p_values(reference, np.array([50, 50]) * 10**10, (g,), draws=DRAWS, seed=0)
    assert p > 0.5


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_one_window_in_twenty_has_a_chance_of_five_percent(decimals: int) -> None:
    """Discrete (with ties) and continuous: 300 references, each with a window of 50 rows."""
    chances = []
    for seed in range(300):
        generator = np.random.default_rng(seed)
        fit, reference, window = (pl.Series(generator.normal(size=rows).round(decimals)) for rows in (50, 150, 50))
        bins = NumberSketch.fit(fit, "float")
        pair = bins.of(reference).bins, bins.of(window).bins
        chances.append([p for _, p in p_values(*pair, (distance, g), draws=DRAWS, seed=seed)])
    share = np.mean(np.array(chances) <= 0.05, axis=0)
    # Three standard errors of 300 windows.
    assert (share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)).all()
    assert (share >= 0.01).all()


def test_benjamini_and_hochberg() -> None:
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
    assert benjamini_hochberg([]) == []


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=20))
def test_q_is_between_p_and_bonferroni(p: list[float]) -> None:
    for one, q in zip(p, benjamini_hochberg(p), strict=True):
        assert one - 1e-12 <= q <= min(1.0, one * len(p)) + 1e-12


def test_jensen_shannon_goes_from_nothing_to_one() -> None:
    assert jensen_shannon(np.array([10, 0]), np.array([5, 0])) == 0
    assert jensen_shannon(np.array([10, 0]), np.array([0, 5])) == pytest.approx(1)


def test_wasserstein_is_how_far_the_values_moved() -> None:
    values, shares = np.array([0.0, 1.0, 2.0]), np.full(3, 1 / 3)
    assert wasserstein((values, shares), (values + 0.4, shares)) == pytest.approx(0.4)
    assert wasserstein((values, shares), (values[::-1], shares)) == pytest.approx(0)

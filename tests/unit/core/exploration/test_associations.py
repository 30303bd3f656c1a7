from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from aimass.core.exploration import associations
from aimass.core.exploration.label import encode

RNG = np.random.default_rng(3)


def test_correlations_with_gaps_are_those_of_pandas() -> None:
    values = RNG.normal(size=(300, 4)) @ RNG.normal(size=(4, 4)) + 1e6
    values[RNG.random(values.shape) < 0.2] = np.nan
    expected = pd.DataFrame(values).corr().to_numpy()
    assert associations.correlation_matrix(values) == pytest.approx(expected, abs=1e-6)


def test_constant_empty_and_short_columns_have_no_correlation() -> None:
    values = np.column_stack([np.arange(50.0), np.full(50, 7.0), np.full(50, np.nan)])
    matrix = associations.correlation_matrix(values)
    assert matrix[0, 0] == pytest.approx(1)
    assert np.isnan(matrix[1:, :]).all()
    assert np.isnan(associations.correlation_matrix(np.eye(3))).all()


def test_ranks_see_what_lines_do_not() -> None:
    x = RNG.normal(size=500)
    found = associations.correlations(pl.DataFrame({"x": x, "y": np.exp(5 * x)}), ["x", "y"])
    assert found.spearman[0][1] == pytest.approx(1)
    assert found.pearson[0][1] is not None
    assert found.pearson[0][1] < 0.8


def test_cramers_v_is_one_for_a_copy_and_nothing_for_noise() -> None:
    left = encode(pl.Series(RNG.choice(list("abc"), 2_000)))
    noise = encode(pl.Series(RNG.choice(list("xyzw"), 2_000)))
    assert associations.cramers_v(left, left) == pytest.approx(1, abs=1e-6)
    assert associations.cramers_v(left, noise) < 0.06
    assert associations.cramers_v(left, np.zeros_like(left)) == 0


def test_correlation_ratio_is_the_spread_that_groups_explain() -> None:
    groups = RNG.integers(0, 4, 2_000)
    assert associations.correlation_ratio(groups * 10.0 + RNG.normal(size=2_000), groups) > 0.95
    assert associations.correlation_ratio(RNG.normal(size=2_000), groups) < 0.1
    assert associations.correlation_ratio(np.full(2_000, 3.0), groups) == 0

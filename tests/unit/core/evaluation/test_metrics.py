"""Our own formulas against scikit-learn's, on any data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from aimass.core.errors import UnknownNameError
from aimass.core.evaluation import DEFAULT_METRICS, METRICS, best_of, measure
from aimass.core.evaluation.base import Scored

probabilities = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=60).filter(
    lambda rows: len({y for y, _ in rows}) == 2
)


def scored(rows: list[tuple[int, int]], threshold: float = 0.5) -> Scored:
    y, steps = zip(*rows, strict=True)
    return Scored(np.array(y, dtype=np.int8), np.array(steps) / 20, threshold)


@given(rows=probabilities, threshold=st.sampled_from([0.1, 0.5, 0.9]))
def test_metrics_agree_with_scikit_learn(rows: list[tuple[int, int]], threshold: float) -> None:
    data = scored(rows, threshold)
    found = measure(["accuracy", "precision", "recall", "f1", "brier"], data)
    expected = {
        "accuracy": sk.accuracy_score(data.y, data.predicted),
        "precision": sk.precision_score(data.y, data.predicted, zero_division=0),
        "recall": sk.recall_score(data.y, data.predicted),
        "f1": sk.f1_score(data.y, data.predicted, zero_division=0),
        "brier": sk.brier_score_loss(data.y, data.probability),
    }
    assert found == pytest.approx(expected)


def test_defaults_are_all_there_is() -> None:
    assert sorted(DEFAULT_METRICS) == METRICS.names()


def test_best_follows_the_metrics_direction() -> None:
    assert best_of("auc", {"a": 0.6, "b": 0.7}) == "b"
    assert best_of("log_loss", {"a": 0.6, "b": 0.7}) == "a"


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="accuracy"):
        METRICS.load("acuracy")

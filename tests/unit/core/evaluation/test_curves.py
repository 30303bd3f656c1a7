from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from aimass.core.evaluation import measure
from aimass.core.evaluation.base import Scored
from aimass.core.evaluation.curves import (
    MAX_POINTS,
    Counts,
    calibration,
    calibration_error,
    choose_threshold,
    confusion,
    precision_recall_curve,
    roc_curve,
    threshold_table,
)
from tests.unit.core.evaluation.test_metrics import probabilities, scored


@given(rows=probabilities)
def test_the_roc_curves_area_is_the_auc(rows: list[tuple[int, int]]) -> None:
    data = scored(rows)
    curve = roc_curve(Counts.of(data))
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(sk.roc_auc_score(data.y, data.probability), abs=1e-5)


@given(rows=probabilities, rule=st.sampled_from(["best_f1", "best_accuracy", "best_youden"]))
def test_no_other_threshold_is_better_than_the_chosen_one(rows: list[tuple[int, int]], rule: Any) -> None:
    data = scored(rows)

    def merit(threshold: float) -> float:
        at = Scored(data.y, data.probability, threshold)
        if rule == "best_youden":
            counts = confusion(at)
            return counts.true_positives / data.y.sum() - counts.false_positives / (data.y == 0).sum()
        return measure([rule.removeprefix("best_")], at)[rule.removeprefix("best_")]

    others = [merit(step / 40) for step in range(41)]
    # best_accuracy and best_youden may also predict nothing; the rule always predicts something.
    if rule == "best_f1":
        assert merit(choose_threshold(rule, data)) == pytest.approx(max(others))
    else:
        assert merit(choose_threshold(rule, data)) >= max(merit(p) for p in data.probability) - 1e-12


def test_a_number_is_the_threshold() -> None:
    assert choose_threshold(0.3, scored([(0, 1), (1, 2)])) == 0.3


def test_curves_are_thinned_and_keep_their_ends() -> None:
    rng = np.random.default_rng(0)
    data = Scored(rng.integers(0, 2, 5000).astype(np.int8), rng.random(5000))
    for curve in (roc_curve(Counts.of(data)), precision_recall_curve(Counts.of(data))):
        assert len(curve.x) == len(curve.y) <= MAX_POINTS
        assert curve.x[-1] == 1
    assert roc_curve(Counts.of(data)).x[0] == 0


def test_confusion_counts_every_row() -> None:
    counts = confusion(scored([(1, 20), (1, 0), (0, 20), (0, 0), (0, 0)]))
    assert counts.model_dump() == {
        "true_positives": 1,
        "false_positives": 1,
        "false_negatives": 1,
        "true_negatives": 2,
    }


def test_the_table_holds_the_chosen_threshold() -> None:
    rows = threshold_table(scored([(1, 20), (0, 3)], threshold=0.123))
    assert 0.123 in [row.threshold for row in rows]
    assert len(rows) == 20


def test_calibrated_probabilities_have_no_error() -> None:
    data = Scored(np.array([0, 1] * 50, dtype=np.int8), np.full(100, 0.5))
    assert calibration_error(calibration(data)) == pytest.approx(0, abs=0.05)
    wrong = Scored(data.y, np.full(100, 0.9))
    assert calibration_error(calibration(wrong)) == pytest.approx(0.4)

"""What lies between the metrics: ROC and precision-recall curves, thresholds, confusion, calibration.

Everything comes from one pass over the sorted probabilities: the counts of true and false positives from each
distinct probability up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from aimass.core.evaluation.base import Scored
from aimass.core.evaluation.document import CalibrationBin, Confusion, Curve, ThresholdRow

ThresholdRule = Literal["best_f1", "best_accuracy", "best_youden"]

MAX_POINTS = 200
TABLE_THRESHOLDS = tuple(step / 20 for step in range(1, 20))
CALIBRATION_BINS = 10

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Counts at each distinct probability, from the highest down; row i predicts positive from ``probability[i]`` up.

    Attributes
    ----------
    probability : array, shape (n_distinct,)
        The distinct probabilities.
    true_positives, false_positives : array, shape (n_distinct,)
        Rows of each class from that probability up.
    """

    probability: Floats
    true_positives: Floats
    false_positives: Floats

    @classmethod
    def of(cls, scored: Scored) -> Counts:
        """Count the rows of `scored`."""
        order = np.argsort(-scored.probability, kind="stable")
        probability, y = scored.probability[order], scored.y[order].astype(np.float64)
        last = np.append(np.flatnonzero(np.diff(probability)), len(y) - 1)
        true_positives = np.cumsum(y)[last]
        return cls(probability[last], true_positives, last + 1.0 - true_positives)

    @property
    def positives(self) -> float:
        """Number of positive rows."""
        return float(self.true_positives[-1])

    @property
    def negatives(self) -> float:
        """Number of negative rows."""
        return float(self.false_positives[-1])


def roc_curve(counts: Counts) -> Curve:
    """Return false positive rate (x) and true positive rate (y), from (0, 0) to (1, 1)."""
    x = np.concatenate([[0.0], counts.false_positives / counts.negatives])
    y = np.concatenate([[0.0], counts.true_positives / counts.positives])
    return _thinned(x, y, along=x + y)


def precision_recall_curve(counts: Counts) -> Curve:
    """Return recall (x) and precision (y), from the highest probability down."""
    recall = counts.true_positives / counts.positives
    precision = counts.true_positives / (counts.true_positives + counts.false_positives)
    return _thinned(recall, precision, along=recall)


def choose_threshold(rule: ThresholdRule | float, scored: Scored) -> float:
    """Return the threshold that `rule` picks on `scored`; a number is taken as it is.

    The threshold lies half-way between two neighbouring probabilities, so that a difference in the last digits moves
    no row to the other side.
    """
    if isinstance(rule, float):
        return rule
    counts = Counts.of(scored)
    found, wrong = counts.true_positives, counts.false_positives
    merit = {
        "best_f1": 2 * found / (found + wrong + counts.positives),
        "best_accuracy": found - wrong,
        "best_youden": found / counts.positives - wrong / counts.negatives,
    }[rule]
    best = int(np.argmax(merit))
    below = counts.probability[best + 1] if best + 1 < len(counts.probability) else 0.0
    return float((counts.probability[best] + below) / 2)


def confusion(scored: Scored) -> Confusion:
    """Return the four counts at the threshold of `scored`."""
    predicted, y = scored.predicted, scored.y
    true_positives = int(np.sum(predicted & y))
    false_positives = int(predicted.sum()) - true_positives
    return Confusion(
        true_positives=true_positives,
        false_positives=false_positives,
        false_negatives=int(y.sum()) - true_positives,
        true_negatives=int(len(y) - y.sum()) - false_positives,
    )


def threshold_table(scored: Scored) -> list[ThresholdRow]:
    """Return what each of the round thresholds, and that of `scored`, would do."""
    thresholds = sorted({*TABLE_THRESHOLDS, scored.threshold})
    return [_threshold_row(Scored(scored.y, scored.probability, threshold)) for threshold in thresholds]


def _threshold_row(scored: Scored) -> ThresholdRow:
    counts = confusion(scored)
    found, rows = counts.true_positives, len(scored.y)
    predicted, actual = found + counts.false_positives, found + counts.false_negatives
    return ThresholdRow(
        threshold=scored.threshold,
        predicted_positive=predicted / rows,
        precision=found / predicted if predicted else None,
        recall=found / actual,
        f1=2 * found / (predicted + actual),
        accuracy=(found + counts.true_negatives) / rows,
    )


def calibration(scored: Scored) -> list[CalibrationBin]:
    """Return predicted probability beside observed share in up to ten bins of about equal size."""
    order = np.argsort(scored.probability, kind="stable")
    bins = []
    for rows in np.array_split(order, CALIBRATION_BINS):
        if rows.size:
            predicted, observed = float(scored.probability[rows].mean()), float(scored.y[rows].mean())
            bins.append(CalibrationBin(rows=int(rows.size), predicted=predicted, observed=observed))
    return bins


def calibration_error(bins: list[CalibrationBin]) -> float:
    """Return the expected calibration error: the mean gap between predicted and observed, weighted by rows."""
    rows = sum(item.rows for item in bins)
    return sum(item.rows * abs(item.predicted - item.observed) for item in bins) / rows


def _thinned(x: Floats, y: Floats, *, along: Floats) -> Curve:
    """Return at most `MAX_POINTS` points, evenly spread over `along` (which never falls), both ends among them."""
    if len(x) > MAX_POINTS:
        wanted = np.linspace(along[0], along[-1], MAX_POINTS)
        kept = np.unique(np.concatenate([[0], np.searchsorted(along, wanted)[1:-1], [len(x) - 1]]))
        x, y = x[kept], y[kept]
    return Curve(x=[round(float(value), 6) for value in x], y=[round(float(value), 6) for value in y])

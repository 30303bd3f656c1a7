"""The metrics of a binary classifier, as scikit-learn defines them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from aimass.core.evaluation.base import Scored


class Auc:
    """Area under the ROC curve."""

    title: ClassVar[str] = "AUC"
    greater_is_better: ClassVar[bool] = True
    explanation: ClassVar[str] = "How often a positive row scores above a negative one; 0.5 is guessing."

    def __call__(self, scored: Scored) -> float:
        """Return the area."""
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(scored.y, scored.probability))


class AveragePrecision:
    """Area under the precision-recall curve, by steps."""

    title: ClassVar[str] = "average precision"
    greater_is_better: ClassVar[bool] = True
    explanation: ClassVar[str] = "Precision averaged over all thresholds; guessing gives the share of positive rows."

    def __call__(self, scored: Scored) -> float:
        """Return the average."""
        from sklearn.metrics import average_precision_score

        return float(average_precision_score(scored.y, scored.probability))


class LogLoss:
    """Mean negative log-likelihood."""

    title: ClassVar[str] = "log loss"
    greater_is_better: ClassVar[bool] = False
    explanation: ClassVar[str] = "Punishes confident mistakes; lower is better."

    def __call__(self, scored: Scored) -> float:
        """Return the mean, in nats."""
        from sklearn.metrics import log_loss

        return float(log_loss(scored.y, scored.probability, labels=[0, 1]))


class Brier:
    """Mean squared difference of probability and outcome."""

    title: ClassVar[str] = "Brier score"
    greater_is_better: ClassVar[bool] = False
    explanation: ClassVar[str] = "Mean squared error of the probabilities; lower is better."

    def __call__(self, scored: Scored) -> float:
        """Return the mean."""
        return float(np.mean((scored.probability - scored.y) ** 2))


class Accuracy:
    """Share of rows predicted right."""

    title: ClassVar[str] = "accuracy"
    greater_is_better: ClassVar[bool] = True
    explanation: ClassVar[str] = "Share of rows predicted right at the threshold; misleading where one class is rare."

    def __call__(self, scored: Scored) -> float:
        """Return the share."""
        return float(np.mean(scored.predicted == scored.y))


class Precision:
    """Share of the rows predicted positive that are."""

    title: ClassVar[str] = "precision"
    greater_is_better: ClassVar[bool] = True
    explanation: ClassVar[str] = "Of the rows predicted positive, the share that is; 0 when none is predicted."

    def __call__(self, scored: Scored) -> float:
        """Return the share."""
        predicted = scored.predicted
        return _share(int(np.sum(predicted & scored.y)), int(predicted.sum()))


class Recall:
    """Share of the positive rows that are predicted so."""

    title: ClassVar[str] = "recall"
    greater_is_better: ClassVar[bool] = True
    explanation: ClassVar[str] = "Of the positive rows, the share that is found."

    def __call__(self, scored: Scored) -> float:
        """Return the share."""
        return _share(int(np.sum(scored.predicted & scored.y)), int(scored.y.sum()))


class F1:
    """Harmonic mean of precision and recall."""

    title: ClassVar[str] = "F1"
    greater_is_better: ClassVar[bool] = True
    explanation: ClassVar[str] = "Harmonic mean of precision and recall at the threshold."

    def __call__(self, scored: Scored) -> float:
        """Return the mean."""
        predicted = scored.predicted
        return _share(2 * int(np.sum(predicted & scored.y)), int(predicted.sum()) + int(scored.y.sum()))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0

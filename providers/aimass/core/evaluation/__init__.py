"""How good a model is: metrics by name, curves, thresholds, calibration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aimass.core.registry import Registry

if TYPE_CHECKING:
    from aimass.core.evaluation.base import Metric, Scored

METRICS: Registry[type[Metric]] = Registry(
    "metric",
    {
        "auc": "aimass.core.evaluation.metrics:Auc",
        "average_precision": "aimass.core.evaluation.metrics:AveragePrecision",
        "log_loss": "aimass.core.evaluation.metrics:LogLoss",
        "brier": "aimass.core.evaluation.metrics:Brier",
        "accuracy": "aimass.core.evaluation.metrics:Accuracy",
        "precision": "aimass.core.evaluation.metrics:Precision",
        "recall": "aimass.core.evaluation.metrics:Recall",
        "f1": "aimass.core.evaluation.metrics:F1",
    },
)
DEFAULT_METRICS = ("auc", "average_precision", "log_loss", "brier", "accuracy", "precision", "recall", "f1")


def measure(names: Iterable[str], scored: Scored) -> dict[str, float]:
    """Return each metric's value by name."""
    return {name: METRICS.load(name)()(scored) for name in names}


def best_of(metric: str, values: dict[str, float]) -> str:
    """Return the name whose value of `metric` is best; the first one where several are equal."""
    sign = 1 if METRICS.load(metric).greater_is_better else -1
    return max(values, key=lambda name: sign * values[name])

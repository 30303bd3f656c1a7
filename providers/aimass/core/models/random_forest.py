"""A random forest of scikit-learn, grown in shares so that its progress can be followed."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from aimass.core.matrix import Matrix
from aimass.core.models.base import (
    Dimension,
    ModelSettings,
    StepCallback,
    class_weights,
    require_finite,
    thread_count,
)
from aimass.core.models.estimator import EstimatorModel, round_thresholds

STEPS = 10


class RandomForestSettings(ModelSettings):
    """Hyper-parameters of a random forest."""

    n_estimators: int = Field(default=100, ge=1, le=10_000, description="Number of trees.")
    criterion: Literal["gini", "entropy", "log_loss"] = Field(default="gini", description="Measure of a split.")
    max_depth: int | None = Field(default=12, ge=1, le=64, description="Greatest depth of a tree; empty for no limit.")
    min_samples_leaf: int = Field(default=10, ge=1, description="Least number of training rows in a leaf.")
    max_features: Literal["sqrt", "log2"] | Annotated[float, Field(gt=0, le=1)] = Field(
        default="sqrt", description="Features tried at each split: sqrt, log2, or a share of them."
    )
    max_samples: float | None = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of the rows that each tree draws (half of them take half the time); empty: all.",
    )
    n_jobs: int | None = Field(default=None, ge=1, le=1024, description="Threads; empty for every core.")


class RandomForest(EstimatorModel):
    """Many trees on drawn rows and features, their probabilities averaged."""

    Settings: ClassVar[type[RandomForestSettings]] = RandomForestSettings

    @classmethod
    def space(cls) -> list[Dimension]:
        """Return the hyper-parameters worth searching."""
        return [
            Dimension(name="n_estimators", kind="int", low=50, high=300),
            Dimension(name="max_depth", kind="int", low=4, high=20),
            Dimension(name="min_samples_leaf", kind="int", low=1, high=100, log=True),
            Dimension(name="max_features", kind="float", low=0.1, high=1.0),
        ]

    def fit(self, train: Matrix, validation: Matrix | None, *, seed: int, on_step: StepCallback | None = None) -> None:
        """Fit on `train`, a tenth of the trees at a time, and report the metrics on `validation` after each."""
        from sklearn.ensemble import RandomForestClassifier

        require_finite(train.X, train.names, family="random_forest")
        chosen = self.settings.model_dump(exclude={"class_weight", "n_estimators", "n_jobs"})
        n_jobs = thread_count(self.settings.n_jobs)
        forest = RandomForestClassifier(**chosen, n_jobs=n_jobs, random_state=seed, warm_start=True)
        weights = class_weights(train.y, self.settings.class_weight)
        live = _LiveMetrics(validation) if validation is not None and on_step is not None else None
        total = self.settings.n_estimators
        for n_trees in _milestones(total) if live else [total]:
            grown = len(getattr(forest, "estimators_", []))
            forest.set_params(n_estimators=n_trees).fit(train.X, train.y, sample_weight=weights)
            for tree in forest.estimators_[grown:]:
                round_thresholds(tree)
            if live is not None and on_step is not None:
                on_step(n_trees, live.after(forest.estimators_[grown:]))
        # One thread scores: several add up the trees in any order, and the last digits would differ from call to call.
        self.estimator_ = forest.set_params(warm_start=False, n_jobs=None)


class _LiveMetrics:
    """Validation metrics of a growing forest; each tree is scored once."""

    def __init__(self, validation: Matrix) -> None:
        self._validation = validation
        self._sum = np.zeros(len(validation.y))
        self._trees = 0

    def after(self, trees: list[Any]) -> dict[str, float]:
        """Return the metrics now that `trees` have been added."""
        from sklearn.metrics import log_loss, roc_auc_score

        for tree in trees:
            self._sum += tree.predict_proba(self._validation.X)[:, 1]
        self._trees += len(trees)
        probability, y = self._sum / self._trees, self._validation.y
        return {
            "validation_auc": float(roc_auc_score(y, probability)),
            "validation_log_loss": float(log_loss(y, probability, labels=[0, 1])),
        }


def _milestones(n_trees: int) -> list[int]:
    return sorted({max(1, n_trees * step // STEPS) for step in range(1, STEPS + 1)})

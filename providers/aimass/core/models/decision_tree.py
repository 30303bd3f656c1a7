"""One decision tree of scikit-learn."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from aimass.core.matrix import Matrix
from aimass.core.models.base import Dimension, ModelSettings, StepCallback, class_weights, require_finite
from aimass.core.models.estimator import EstimatorModel, round_thresholds


class DecisionTreeSettings(ModelSettings):
    """Hyper-parameters of a decision tree."""

    criterion: Literal["gini", "entropy", "log_loss"] = Field(default="gini", description="Measure of a split.")
    max_depth: int | None = Field(default=8, ge=1, le=64, description="Greatest depth; empty for no limit.")
    min_samples_leaf: int = Field(default=50, ge=1, description="Least number of training rows in a leaf.")
    max_features: float | None = Field(
        default=None, gt=0, le=1, description="Share of the features tried at each split; empty for all."
    )
    ccp_alpha: float = Field(default=0.0, ge=0, le=1, description="Cost of a leaf in pruning; 0 prunes nothing.")


class DecisionTree(EstimatorModel):
    """A single tree: quick to fit and to read, seldom the best."""

    Settings: ClassVar[type[DecisionTreeSettings]] = DecisionTreeSettings

    @classmethod
    def space(cls) -> list[Dimension]:
        """Return the hyper-parameters worth searching."""
        return [
            Dimension(name="max_depth", kind="int", low=2, high=16),
            Dimension(name="min_samples_leaf", kind="int", low=1, high=500, log=True),
            Dimension(name="criterion", kind="categorical", choices=("gini", "entropy")),
        ]

    def fit(self, train: Matrix, validation: Matrix | None, *, seed: int, on_step: StepCallback | None = None) -> None:
        """Fit one tree on `train`; there are no steps to report."""
        from sklearn.tree import DecisionTreeClassifier

        require_finite(train.X, train.names, family="decision_tree")
        chosen = self.settings.model_dump(exclude={"class_weight"})
        tree = DecisionTreeClassifier(**chosen, random_state=seed)
        tree.fit(train.X, train.y, sample_weight=class_weights(train.y, self.settings.class_weight))
        round_thresholds(tree)
        self.estimator_ = tree

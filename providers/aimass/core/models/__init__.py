"""Model families: one file each, behind one protocol."""

from __future__ import annotations

from aimass.core.models.base import ModelFamily
from aimass.core.registry import Registry

MODELS: Registry[type[ModelFamily]] = Registry(
    "model",
    {
        "decision_tree": "aimass.core.models.decision_tree:DecisionTree",
        "random_forest": "aimass.core.models.random_forest:RandomForest",
        "lightgbm": "aimass.core.models.lightgbm:LightGBM",
        "logistic_regression": "aimass.core.models.logistic_regression:LogisticRegression",
    },
)

"""Model families: one file each, behind one protocol."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aimass.core.registry import Registry

if TYPE_CHECKING:
    # Forms ask for the names where DAG files are read: numpy, which the protocol needs, would be paid there each time.
    from aimass.core.models.base import ModelFamily

# OpenMP reads this when scikit-learn or LightGBM loads it, which only happens after this package. By default its
# threads spin while they wait for each other. Beside other work that is dear: LightGBM with 2 threads on 2 busy cores
# took 20 s, and 2.5 s once its threads slept instead. What the environment already says wins.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

MODELS: Registry[type[ModelFamily]] = Registry(
    "model",
    {
        "decision_tree": "aimass.core.models.decision_tree:DecisionTree",
        "random_forest": "aimass.core.models.random_forest:RandomForest",
        "lightgbm": "aimass.core.models.lightgbm:LightGBM",
        "logistic_regression": "aimass.core.models.logistic_regression:LogisticRegression",
    },
)
DEFAULT_MODELS = ("logistic_regression", "decision_tree", "random_forest", "lightgbm")
"""What is fitted where nobody says which."""

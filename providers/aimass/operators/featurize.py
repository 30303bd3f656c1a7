"""The operator of the stage ``featurize``."""

from __future__ import annotations

from aimass.operators.stage import StageOperator


class FeaturizeOperator(StageOperator):
    """Fit the feature graph on the training part and write the float32 features."""

    stage = "featurize"

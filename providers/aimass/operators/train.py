"""The operator of the stage ``train``."""

from __future__ import annotations

from aimass.links.mlflow import MlflowRunLink
from aimass.operators.stage import StageOperator


class TrainOperator(StageOperator):
    """Fit one candidate for each model of the configuration; metrics reach MLflow while training."""

    stage = "train"
    operator_extra_links = (MlflowRunLink(),)

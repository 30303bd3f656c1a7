"""The operator of the stage ``release``."""

from __future__ import annotations

from aimass.links.mlflow import ModelVersionLink
from aimass.links.report import ReportLink
from aimass.operators.stage import StageOperator


class ReleaseOperator(StageOperator):
    """Certify the ONNX graph, pass the gate, register the version and move the alias."""

    stage = "release"
    operator_extra_links = (ReportLink(), ModelVersionLink())

"""The operator of the stage ``evaluate``."""

from __future__ import annotations

from aimass.links.report import ReportLink
from aimass.operators.stage import StageOperator


class EvaluateOperator(StageOperator):
    """Score candidates on the validation part, or the best one on the test part."""

    stage = "evaluate"
    operator_extra_links = (ReportLink(),)

"""The operator of the stage ``explore``."""

from __future__ import annotations

from aimass.links.report import ReportLink
from aimass.operators.stage import StageOperator


class ExploreOperator(StageOperator):
    """Describe the training part: statistics, missing values, leakage suspects; JSON and a page."""

    stage = "explore"
    operator_extra_links = (ReportLink(),)

"""The operator of the stage ``validate``."""

from __future__ import annotations

from aimass.links.report import ReportLink
from aimass.operators.stage import StageOperator


class ValidateOperator(StageOperator):
    """Check a dataset against expectations; fails when one does not hold, and still publishes the report."""

    stage = "validate"
    operator_extra_links = (ReportLink(),)

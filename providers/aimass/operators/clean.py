"""The operator of the stage ``clean``."""

from __future__ import annotations

from aimass.operators.stage import StageOperator


class CleanOperator(StageOperator):
    """Mend types, duplicates, missing values and outliers; says how many rows and cells each step touched."""

    stage = "clean"

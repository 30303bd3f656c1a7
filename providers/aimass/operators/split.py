"""The operator of the stage ``split``."""

from __future__ import annotations

from aimass.operators.stage import StageOperator


class SplitOperator(StageOperator):
    """Cut a dataset into training, validation and test part, before anything is fitted.

    Examples
    --------
    ::

        split = SplitOperator(
            task_id="split",
            config={"dataset": join.output["uri"], "split": {"type": "time", "column": "day"}},
        )
    """

    stage = "split"

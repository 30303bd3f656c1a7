"""The operators of the stage ``optimize``: plan a round, work on a share of it, take the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aimass.operators.stage import StageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class OptimizeOperator(StageOperator):
    """End a search: complete what is missing, and publish the best model that was found.

    Works alone, too; `OptimizePlanOperator` and `OptimizeWorkOperator` before it spread the trials over tasks.
    """

    stage = "optimize"


class OptimizePlanOperator(StageOperator):
    """Ask the search for the trials of one round, and deal them to the workers.

    Parameters
    ----------
    round_index : int
        Which round, from 0.
    **kwargs
        See `StageOperator`; `config` is that of `OptimizeOperator`.

    Returns
    -------
    list
        One assignment for each worker, to be mapped over `OptimizeWorkOperator`.
    """

    stage = "optimize_plan"
    section = "optimize"

    def __init__(self, *, round_index: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.round_index = round_index
        self.outlets = []

    def run_stage(self, context: Context, config: Mapping[str, Any]) -> Sequence[Any]:
        """Return the round's assignments."""
        result = super().run_stage(context, {"optimize": config, "round_index": self.round_index})
        found: Sequence[Any] = result["assignments"]
        return found

    def announce(self, context: Context, result: Any) -> None:
        """Say how many workers have something to do."""
        self.log.info("round %d: %d assignments", self.round_index + 1, len(result))


class OptimizeWorkOperator(StageOperator):
    """Try the trials of one assignment.

    Parameters
    ----------
    assignment : mapping
        One of the results of `OptimizePlanOperator`. Templated.
    **kwargs
        See `StageOperator`; `config` is that of `OptimizeOperator`.
    """

    stage = "optimize_work"
    section = "optimize"
    template_fields = (*StageOperator.template_fields, "assignment")

    def __init__(self, *, assignment: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.assignment = assignment
        self.outlets = []

    def run_stage(self, context: Context, config: Mapping[str, Any]) -> Any:
        """Fit and score the assignment's trials."""
        return super().run_stage(context, {"optimize": config, "assignment": self.assignment})

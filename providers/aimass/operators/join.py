"""The operator of the stage ``join``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aimass.operators.stage import StageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class JoinOperator(StageOperator):
    """Join tables into one dataset with a target; a join that would multiply rows is an error.

    Parameters
    ----------
    table_names : sequence of str, optional
        Where ``config["tables"]`` is the output of a mapped ingest: the tables' names in the order of its results.
    **kwargs
        See `StageOperator`; ``config["tables"]`` is a mapping of names to dataset addresses otherwise.

    Examples
    --------
    ::

        join = JoinOperator(
            task_id="join",
            config={
                "tables": {"orders": orders.output["uri"], "customers": customers.output["uri"]},
                "base": "orders",
                "joins": [{"table": "customers", "on": ["customer_id"]}],
                "target": {"name": "returned", "expr": "status = 'returned'"},
            },
        )
    """

    stage = "join"

    def __init__(self, *, table_names: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table_names = table_names

    def stage_config(self, context: Context) -> dict[str, Any]:
        """Return this run's configuration, the mapped results turned into addresses by name."""
        config = super().stage_config(context)
        if self.table_names:
            config["tables"] = {
                name: result["uri"] for name, result in zip(self.table_names, config["tables"], strict=True)
            }
        return config

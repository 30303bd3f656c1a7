"""The link to a stage's report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

from aimass.links.pages import report_url

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class ReportLink(BaseOperatorLink):
    """Opens the page that explore, validate, evaluate or release wrote."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the report's page; empty when the task failed before it wrote one."""
        if not getattr(operator, "result_", {}).get("report"):
            return ""
        return report_url(ti_key.dag_id, ti_key.run_id, ti_key.task_id, ti_key.map_index)

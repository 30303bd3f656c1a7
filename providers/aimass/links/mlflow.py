"""Links into MLflow: the run that was tracked, the version that was registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class MlflowRunLink(BaseOperatorLink):
    """Opens the MLflow run of the best candidate."""

    name = "MLflow run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the run's address; empty when none was tracked."""
        result = getattr(operator, "result_", {})
        urls = result.get("run_urls") or {}
        return str(urls.get(result.get("best")) or next(iter(urls.values()), ""))


class ModelVersionLink(BaseOperatorLink):
    """Opens the registered model version."""

    name = "Model version"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the version's address; empty when nothing was released."""
        return str(getattr(operator, "result_", {}).get("model_uri") or "")

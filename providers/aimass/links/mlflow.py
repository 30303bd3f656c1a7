"""Links into MLflow: the run that was tracked, the version that was registered."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

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
        """Return the version's page on the MLflow server, or what clients load; empty when nothing was released."""
        result = getattr(operator, "result_", {})
        if not result.get("version"):
            return ""
        page = version_page(getattr(operator, "registry_uri_", ""), result["name"], str(result["version"]))
        return page or str(result.get("model_uri") or "")


def version_page(registry_uri: str, name: str, version: str) -> str:
    """Return the address of a version's page on the MLflow server; empty where a database alone keeps the registry."""
    server = urlsplit(registry_uri)
    if server.scheme not in ("http", "https"):
        return ""
    address = server._replace(netloc=server.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")
    return f"{address}/#/models/{quote(name, safe='')}/versions/{quote(version, safe='')}"

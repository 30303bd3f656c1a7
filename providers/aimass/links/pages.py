"""Addresses of the product's own pages, for links from tasks, approvals and notices."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from airflow.sdk import conf

PREFIX = "/aimass"
"""Where the pages are mounted, below the address of Airflow itself."""


def page_url(*parts: str, **query: object) -> str:
    """Return the address of a page.

    Parameters
    ----------
    *parts : str
        Path below `PREFIX`; each part is quoted.
    **query
        Query parameters; empty ones are left out.

    Returns
    -------
    str
        Absolute where ``[api] base_url`` is set; else a path, which a browser completes.
    """
    base = conf.get("api", "base_url", fallback="") or ""
    asked = {name: value for name, value in query.items() if value not in (None, "")}
    path = "/".join(quote(part, safe="") for part in parts)
    return f"{base.rstrip('/')}{PREFIX}/{path}" + (f"?{urlencode(asked)}" if asked else "")


def run_url(dag_id: str, run_id: str) -> str:
    """Return the address of the pipeline's page, showing one run."""
    return page_url("pipelines", dag_id, run=run_id)


def report_url(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    """Return the address of the report that a task wrote."""
    index = map_index if map_index >= 0 else None
    return page_url("pipelines", dag_id, "runs", run_id, "tasks", task_id, "report", map_index=index)

"""Addresses of the product's own pages, for links from tasks, approvals and notices."""

from __future__ import annotations

from urllib.parse import urlencode

from aimass.links.airflow_pages import base_url, quoted

PREFIX = "/aimass"
"""Where the pages are mounted, below the address of Airflow itself."""


def page_path(*parts: str, **query: object) -> str:
    """Return the path of a page below the address of Airflow itself.

    Parameters
    ----------
    *parts : str
        Path below `PREFIX`; each part is quoted.
    **query
        Query parameters; empty ones are left out.
    """
    asked = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{PREFIX}/{quoted(*parts)}" + (f"?{urlencode(asked)}" if asked else "")


def page_url(*parts: str, **query: object) -> str:
    """Return the address of a page; absolute where ``[api] base_url`` is set, else a path, which a browser completes.

    The parameters are those of `page_path`.
    """
    return base_url() + page_path(*parts, **query)


def run_url(dag_id: str, run_id: str) -> str:
    """Return the address of the pipeline's page, showing one run."""
    return page_url("pipelines", dag_id, run=run_id)


def report_url(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    """Return the address of the report that a task wrote."""
    index = map_index if map_index >= 0 else None
    return page_url("pipelines", dag_id, "runs", run_id, "tasks", task_id, "report", map_index=index)

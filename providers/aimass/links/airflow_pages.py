"""Addresses of Airflow's own pages, for messages that are read elsewhere."""

from __future__ import annotations

from urllib.parse import quote

from airflow.sdk import conf


def airflow_run_url(dag_id: str, run_id: str) -> str:
    """Return the address of a run; a path only where ``[api] base_url`` is not set."""
    base = str(conf.get("api", "base_url", fallback="") or "")
    return f"{base.rstrip('/')}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def approval_url(dag_id: str, run_id: str, task_id: str) -> str:
    """Return the address at which a task that waits for an answer is answered."""
    return f"{airflow_run_url(dag_id, run_id)}/tasks/{quote(task_id, safe='')}/required_actions"

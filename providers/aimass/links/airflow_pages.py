"""Addresses of Airflow's own pages, for messages that are read elsewhere."""

from __future__ import annotations

from urllib.parse import quote

from airflow.sdk import conf


def base_url() -> str:
    """Return Airflow's address without a slash at its end; empty where ``[api] base_url`` is not set."""
    return str(conf.get("api", "base_url", fallback="") or "").rstrip("/")


def quoted(*parts: str) -> str:
    """Return `parts` as a path, each quoted."""
    return "/".join(quote(str(part), safe="") for part in parts)


def airflow_run_url(dag_id: str, run_id: str) -> str:
    """Return the address of a run; a path only where ``[api] base_url`` is not set."""
    return f"{base_url()}/{quoted('dags', dag_id, 'runs', run_id)}"


def approval_url(dag_id: str, run_id: str, task_id: str) -> str:
    """Return the address at which a task that waits for an answer is answered."""
    return f"{airflow_run_url(dag_id, run_id)}/{quoted('tasks', task_id, 'required_actions')}"

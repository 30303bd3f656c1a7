"""The few calls of Airflow's REST interface that the demo makes."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from demo.errors import DemoError

TIMEOUT_S = 30.0


class Airflow:
    """A logged-in client.

    Parameters
    ----------
    url : str
        Airflow's address.
    user, password : str
        Whom to log in.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._credentials = {"username": user, "password": password}
        self._token = ""

    def get(self, *path: str, **query: Any) -> Any:
        """Return the document at ``/api/v2/<path>``, or None where there is none."""
        suffix = f"?{urllib.parse.urlencode(query)}" if query else ""
        try:
            return self._call("GET", _join(path) + suffix)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Start a run of the DAG and return its id; raise DemoError where Airflow refuses the `conf`."""
        try:
            run = self._call("POST", _join(("dags", dag_id, "dagRuns")), {"logical_date": None, "conf": dict(conf)})
        except urllib.error.HTTPError as error:
            raise DemoError(f"Airflow refused to start {dag_id} (HTTP {error.code}): {_detail(error)}") from None
        return str(run["dag_run_id"])

    def unpause(self, dag_id: str) -> None:
        """Let the DAG's runs start; the run of a paused DAG waits for ever."""
        self._call("PATCH", _join(("dags", dag_id)), {"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Let no more of the DAG's runs start."""
        self._call("PATCH", _join(("dags", dag_id)), {"is_paused": True})

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return the run."""
        found: dict[str, Any] = self.get("dags", dag_id, "dagRuns", run_id)
        return found

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the run's task instances, mapped ones one by one."""
        page = self.get("dags", dag_id, "dagRuns", run_id, "taskInstances", limit=200)
        found: list[dict[str, Any]] = page["task_instances"]
        return found

    def progress_entry(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> dict[str, Any] | None:
        """Return what a task has put into its state store as progress, with the time; None where it has not."""
        path = ("dags", dag_id, "dagRuns", run_id, "taskInstances", task_id, "state-store", "progress")
        found: dict[str, Any] | None = self.get(*path, map_index=map_index)
        return found

    def progress(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
        """Return the last line that a running task has told; empty where it has not."""
        found = self.progress_entry(dag_id, run_id, task_id, map_index)
        return _progress_text(found["value"]) if found else ""

    def result(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """Return what a task returned, or None."""
        path = ("dags", dag_id, "dagRuns", run_id, "taskInstances", task_id, "xcomEntries", "return_value")
        found = self.get(*path, map_index=map_index)
        return None if found is None else found["value"]

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        if not self._token:
            self._token = self._open("POST", f"{self.url}/auth/token", self._credentials)["access_token"]
        try:
            return self._open(method, f"{self.url}/api/v2/{path}", body)
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
        # The token has expired: log in once more.
        self._token = self._open("POST", f"{self.url}/auth/token", self._credentials)["access_token"]
        return self._open(method, f"{self.url}/api/v2/{path}", body)

    def _open(self, method: str, url: str, body: Mapping[str, Any] | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - our own address
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=TIMEOUT_S) as response:
            return json.load(response)


def _join(path: tuple[str, ...]) -> str:
    return "/".join(urllib.parse.quote(part, safe="") for part in path)


def _progress_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("text") or value.get("message") or "")
    return str(value)


def _detail(error: urllib.error.HTTPError) -> str:
    """Return what Airflow says is wrong, in words where it gives words."""
    text = error.read().decode(errors="replace")
    try:
        detail = json.loads(text)["detail"]
    except (ValueError, KeyError, TypeError):
        return text
    return detail if isinstance(detail, str) else json.dumps(detail)

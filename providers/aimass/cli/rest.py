"""The few calls of Airflow's REST interface that `pipeline run` and `pipeline status` make."""

from __future__ import annotations

import getpass
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from airflow.sdk import conf

from aimass.core.errors import ConfigError, NotAllowedError, NotFoundError, UnreachableError
from aimass.hooks.options import default_store, option

TIMEOUT_S = 30


class AirflowApi:
    """A logged-in client.

    Parameters
    ----------
    url : str
        Airflow's address.
    token : str
        Bearer token.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._token = token

    def trigger(self, dag_id: str, run_conf: Mapping[str, Any]) -> str:
        """Start a run and return its id."""
        body = {"logical_date": None, "conf": dict(run_conf)}
        return str(self._call("POST", ["dags", dag_id, "dagRuns"], body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return a run."""
        return self._call("GET", ["dags", dag_id, "dagRuns", run_id])

    def last_run(self, dag_id: str) -> dict[str, Any]:
        """Return the run that was started last; raises NotFoundError when there is none."""
        runs = self._call("GET", ["dags", dag_id, "dagRuns"], limit=1, order_by="-run_after")["dag_runs"]
        if not runs:
            raise NotFoundError(f"{dag_id} has never run", hint="Start it with airflow aimass pipeline run")
        return dict(runs[0])

    def is_paused(self, dag_id: str) -> bool:
        """Return whether a DAG is paused; the run of a paused DAG waits for ever."""
        return bool(self._call("GET", ["dags", dag_id])["is_paused"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run, in the order in which they started."""
        found = self._call("GET", ["dags", dag_id, "dagRuns", run_id, "taskInstances"], limit=100)["task_instances"]
        return sorted(found, key=lambda task: (task["start_date"] is None, task["start_date"] or "", task["map_index"]))

    def progress(self, task: Mapping[str, Any]) -> str:
        """Return the line that a running task told last."""
        path = [*_instance(task), "state-store", "progress"]
        try:
            value = self._call("GET", path, map_index=task["map_index"])["value"]
        except NotFoundError:
            return ""
        return str(value.get("text", "")) if isinstance(value, dict) else str(value)

    def result(self, task: Mapping[str, Any]) -> Any:
        """Return what a task returned, or None."""
        path = [*_instance(task), "xcomEntries", "return_value"]
        try:
            return self._call("GET", path, map_index=task["map_index"])["value"]
        except NotFoundError:
            return None

    def error(self, task: Mapping[str, Any]) -> str:
        """Return the message with which a task failed, from its log."""
        path = [*_instance(task), "logs", str(task["try_number"])]
        try:
            entries = self._call("GET", path, map_index=task["map_index"], full_content="true")["content"]
        except NotFoundError:
            return ""
        found = [_error_text(entry) for entry in entries if isinstance(entry, dict) and entry.get("level") == "error"]
        return next((text for text in reversed(found) if text), "")

    def _call(self, method: str, path: list[str], body: Any = None, **query: Any) -> dict[str, Any]:
        place = "/".join(urllib.parse.quote(part, safe="") for part in path)
        suffix = f"?{urllib.parse.urlencode(query)}" if query else ""
        answer: dict[str, Any] = _open(method, f"{self.url}/api/v2/{place}{suffix}", body, self._token)
        return answer


def connect(url: str | None, user: str | None) -> AirflowApi:
    """Log in to the Airflow at `url`, both found in environment and configuration where they are not given.

    Raises
    ------
    NotAllowedError
        User or password are wrong.
    UnreachableError
        Nobody answers there.
    """
    address = url or os.environ.get("AIMASS_API_URL") or option("api_url") or conf.get("api", "base_url", fallback="")
    address = (address or "http://localhost:8080").rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise ConfigError(f"Airflow's address is {address!r}", expected="http://… or https://…")
    token = os.environ.get("AIMASS_API_TOKEN") or _log_in(address, user or os.environ.get("AIMASS_API_USER"))
    return AirflowApi(address, token)


def _log_in(address: str, user: str | None) -> str:
    stored = _generated_passwords()
    if user is None and len(stored) == 1:
        user = next(iter(stored))
    if user is None:
        # The simple auth manager with all_admins asks nobody for a password.
        return str(_open("GET", f"{address}/auth/token")["access_token"])
    password = os.environ.get("AIMASS_API_PASSWORD") or stored.get(user)
    if password is None:
        if not sys.stdin.isatty():
            raise NotAllowedError(f"There is no password for {user!r}", hint="Set AIMASS_API_PASSWORD")
        password = getpass.getpass(f"Password of {user} at {address}: ")
    return str(_open("POST", f"{address}/auth/token", {"username": user, "password": password})["access_token"])


def _generated_passwords() -> dict[str, str]:
    """Return the users that Airflow's simple auth manager made on this very machine."""
    name = conf.get("core", "simple_auth_manager_passwords_file", fallback="") or os.path.join(
        os.path.dirname(default_store()), "simple_auth_manager_passwords.json.generated"
    )
    try:
        with open(name, encoding="utf-8") as reader:
            return {str(user): str(password) for user, password in json.load(reader).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _open(method: str, url: str, body: Any = None, token: str = "") -> Any:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - checked in connect
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310 - idem
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise _refusal(error, url) from None
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise UnreachableError(
            f"Airflow does not answer at {url.partition('/api/')[0].partition('/auth/')[0]}: {reason}",
            hint="Check that it runs, or name its address with --url",
        ) from None
    except ValueError:
        raise ConfigError(f"{url} does not speak JSON", expected="the address of an Airflow 3 API server") from None


def _refusal(error: urllib.error.HTTPError, url: str) -> Exception:
    try:
        detail = json.load(error)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = error.reason
    place = urllib.parse.urlsplit(url).path
    if error.code in (401, 403):
        return NotAllowedError(f"Airflow refuses (HTTP {error.code}): {detail}", hint="Check --user and the password")
    if error.code == 404:
        return NotFoundError(f"Airflow does not know {place}: {detail}")
    if error.code >= 500:
        return UnreachableError(f"Airflow failed at {place} (HTTP {error.code}): {detail}")
    return ConfigError(f"Airflow refuses {place} (HTTP {error.code}): {detail}")


def _instance(task: Mapping[str, Any]) -> list[str]:
    return ["dags", task["dag_id"], "dagRuns", task["dag_run_id"], "taskInstances", task["task_id"]]


def _error_text(entry: Mapping[str, Any]) -> str:
    details = entry.get("error_detail") or []
    return str(details[0].get("exc_value", "")) if details else str(entry.get("event", ""))

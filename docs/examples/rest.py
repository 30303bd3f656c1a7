"""Trigger an AI Mass pipeline over Airflow's REST interface, wait for it, and print what it released.

Standard library only::

    AIRFLOW_PASSWORD=... python rest.py http://127.0.0.1:8080 admin aimass_flights '{"evaluate": {"threshold": 0.5}}'
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

POLL_S = 2.0


# [start call]
def call(method: str, url: str, token: str = "", body: Any = None) -> Any:
    """Send one JSON request and return the answer's document."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - the caller's address
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return json.load(response)


# [end call]


# [start login]
def log_in(airflow: str, user: str, password: str) -> str:
    """Return a token; the simple and the FAB auth manager both answer here."""
    return str(call("POST", f"{airflow}/auth/token", body={"username": user, "password": password})["access_token"])


# [end login]


# [start trigger]
def trigger(airflow: str, token: str, dag_id: str, conf: dict[str, Any]) -> str:
    """Start a run and return its id; `logical_date` must be there, and null means now."""
    body = {"logical_date": None, "conf": conf}
    return str(call("POST", f"{airflow}/api/v2/dags/{dag_id}/dagRuns", token, body)["dag_run_id"])


# [end trigger]


# [start poll]
def wait(airflow: str, token: str, dag_id: str, run_id: str) -> str:
    """Poll until the run has ended; return ``success`` or ``failed``."""
    url = f"{airflow}/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
    while (state := call("GET", url, token)["state"]) not in ("success", "failed"):
        print(f"{run_id}: {state}", file=sys.stderr)
        time.sleep(POLL_S)
    return str(state)


# [end poll]


# [start result]
def result(airflow: str, token: str, dag_id: str, run_id: str, task_id: str) -> Any:
    """Return what a task of the run returned; a run id has characters that a URL must quote."""
    run = f"{airflow}/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
    return call("GET", f"{run}/taskInstances/{task_id}/xcomEntries/return_value", token)["value"]


# [end result]


def main() -> int:
    """Run the script; return 0 only if the pipeline ended well."""
    airflow, user, dag_id = (argument.rstrip("/") for argument in sys.argv[1:4])
    conf = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    try:
        token = log_in(airflow, user, os.environ["AIRFLOW_PASSWORD"])
        run_id = trigger(airflow, token, dag_id, conf)
        if wait(airflow, token, dag_id, run_id) != "success":
            print(f"The run {run_id} failed: {airflow}/dags/{dag_id}", file=sys.stderr)
            return 1
        json.dump(result(airflow, token, dag_id, run_id, "release"), sys.stdout, indent=2, ensure_ascii=False)
        return 0
    except urllib.error.HTTPError as error:
        print(f"{error.url} answered {error.code}: {error.read().decode(errors='replace')}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""A running Airflow with some DAG files and nothing else: api-server, scheduler and dag-processor, on free ports."""

from __future__ import annotations

import contextlib
import urllib.error
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.home import USER, Home
from demo.rest import Airflow
from demo.services import Services

PROGRAMS = ("api-server", "scheduler", "dag-processor")
# Apart from that of any demo that may start at the same moment.
PORT_OFFSET = 1000


@dataclass(frozen=True)
class SetHome(Home):
    """A folder whose Airflow runs with further variables, such as ``AIRFLOW__CORE__TEST_CONNECTION``."""

    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Return the variables that every program runs with."""
        return {**super().environment(), **self.variables}


class RestAirflow(Airflow):
    """A logged-in client that also makes connections."""

    def connect(self, conn_id: str, conn_type: str, **fields: Any) -> None:
        """Make a connection, as the page Admin → Connections does."""
        self._call("POST", "connections", {"connection_id": conn_id, "conn_type": conn_type, **fields})

    def try_connection(self, conn_type: str, **fields: Any) -> tuple[bool, str]:
        """Return what the button Test of a connection's form says, and whether it is well."""
        body = {"connection_id": "tried", "conn_type": conn_type, **fields}
        found = self._call("POST", "connections/test", body)
        return found["status"], found["message"]

    def clear(self, dag_id: str, run_id: str, *tasks: str | tuple[str, int]) -> None:
        """Let tasks of a run, of mapped ones each by its index, and what comes after them run again."""
        body = {"dag_run_id": run_id, "task_ids": tasks, "include_downstream": True, "only_failed": False}
        self._call("POST", f"dags/{dag_id}/clearTaskInstances", {**body, "dry_run": False})

    def refusal(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Return what Airflow answers to a trigger that it refuses before there is a run."""
        try:
            self._call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf)})
        except urllib.error.HTTPError as error:
            return f"{error.code}: {error.read().decode()}"
        raise AssertionError(f"{dag_id} was started")


@contextlib.contextmanager
def running_airflow(
    folder: Path, dags: Path, *, more: tuple[str, ...] = (), variables: Mapping[str, str] | None = None
) -> Iterator[tuple[RestAirflow, Home]]:
    """Yield a client of an Airflow that reads `dags`, and its folder.

    Parameters
    ----------
    folder : Path
        Where it keeps everything.
    dags : Path
        The folder of DAG files.
    more : tuple of str
        Further programs, such as the triggerer.
    variables : mapping, optional
        Further variables of the programs.
    """
    home = SetHome(folder, dags, PORT_OFFSET, variables or {})
    home.prepare()
    home.choose_ports()
    home.write_password()
    services = Services(home)
    try:
        services.migrate()
        for name in (*PROGRAMS, *more):
            services.start(services.by_name(name))
        services.wait_until_ready({*PROGRAMS, *more})
        yield RestAirflow(home.airflow_url, USER, home.secrets["password"]), home
    finally:
        services.stop()

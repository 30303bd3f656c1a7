"""A running Airflow with some DAG files and nothing else: api-server, scheduler and dag-processor, on free ports."""

from __future__ import annotations

import contextlib
import urllib.error
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from demo.home import USER, Home
from demo.rest import Airflow
from demo.services import Services

PROGRAMS = ("api-server", "scheduler", "dag-processor")


class RestAirflow(Airflow):
    """A logged-in client that also makes connections."""

    def connect(self, conn_id: str, conn_type: str, **fields: Any) -> None:
        """Make a connection, as the page Admin → Connections does."""
        self._call("POST", "connections", {"connection_id": conn_id, "conn_type": conn_type, **fields})

    def refusal(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Return what Airflow answers to a trigger that it refuses before there is a run."""
        try:
            self._call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf)})
        except urllib.error.HTTPError as error:
            return f"{error.code}: {error.read().decode()}"
        raise AssertionError(f"{dag_id} was started")


@contextlib.contextmanager
def running_airflow(folder: Path, dags: Path, *, more: tuple[str, ...] = ()) -> Iterator[tuple[RestAirflow, Home]]:
    """Yield a client of an Airflow that reads `dags`, and its folder.

    Parameters
    ----------
    folder : Path
        Where it keeps everything.
    dags : Path
        The folder of DAG files.
    more : tuple of str
        Further programs, such as the triggerer.
    """
    home = Home(folder, dags)
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

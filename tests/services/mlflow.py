"""A real MLflow server on SQLite; the address in AIMASS_TEST_MLFLOW_URI is used instead where it is set."""

from __future__ import annotations

import contextlib
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.services.server import free_port, running


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Yield the address of a server that keeps its database and artifacts in `folder`."""
    given = os.environ.get("AIMASS_TEST_MLFLOW_URI")
    if given:
        yield given
        return
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    with running(command, log=folder / "mlflow.log", is_ready=lambda: _answers(f"{address}/health")):
        yield address


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False

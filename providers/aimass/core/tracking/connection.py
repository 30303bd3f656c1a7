"""The way to MLflow: which address, how long to wait, and what its errors mean in our tree."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aimass.core.deps import Deps
from aimass.core.errors import (
    AimassError,
    ConfigError,
    MissingDependencyError,
    NotAllowedError,
    NotFoundError,
    TransientError,
    UnreachableError,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE = "mlflow.db"
FOLDER = "mlflow"
"""Folder of a local store with MLflow's database and artifacts, where no server is configured."""

# MLflow itself waits 120 s and tries eight times, minutes in all; a task has better things to do, and Airflow retries.
# What the environment already says wins.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    # Nobody asked for reports on our users to a third party.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A log is not a terminal.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
TOKEN = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - the variable's name, not a token

SERVERS = ("http", "https", "databricks")
"""These decide themselves where artifacts are kept."""

SCHEMES = (*SERVERS, "sqlite", "postgresql", "mysql", "mssql")
"""MLflow takes anything else for a folder, and keeps runs in files there, which it no longer maintains."""

UNKNOWN_HOST = ("NameResolutionError", "gaierror")
NOT_ALLOWED = ("UNAUTHENTICATED", "PERMISSION_DENIED")
NOT_ALLOWED_STATUS = (401, 403)


def tracking_uri(deps: Deps) -> str:
    """Return where runs are tracked: the configured address, or an SQLite file in a local store.

    Raises
    ------
    ConfigError
        None is configured, and the store is not on this machine; or the address is of no kind that MLflow serves.
    """
    if deps.runtime.tracking_uri:
        return _checked(deps.runtime.tracking_uri)
    folder = deps.store.folder(FOLDER)
    if not deps.store.is_local(folder):
        raise ConfigError(
            f"No tracking server is configured, and the store {deps.store.root} is not on this machine",
            expected="the address of an MLflow server",
            hint="Set tracking_uri, or add a connection of type mlflow",
        )
    path = deps.store.local_path(folder)
    path.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path}/{DATABASE}"


def is_there(deps: Deps) -> bool:
    """Return whether there is a server, or a database already: asking would otherwise make one, which takes a while."""
    return bool(deps.runtime.tracking_uri) or deps.store.exists(deps.store.folder(FOLDER, DATABASE))


def _checked(uri: str) -> str:
    scheme = uri.partition("://")[0].partition("+")[0]
    if "://" in uri and scheme in SCHEMES:
        return uri
    raise ConfigError(
        f"The tracking URI {shown(uri)} is no address of a server or a database",
        expected="an address such as http://host:5000 or sqlite:////path/mlflow.db",
        known=SCHEMES,
        hint="Check tracking_uri",
    )


def artifact_location(deps: Deps) -> str | None:
    """Return where a new experiment keeps artifacts, or None where the server decides.

    A database alone would have MLflow keep them in ``mlruns`` of whichever folder the process happens to run in.
    """
    scheme = tracking_uri(deps).partition("://")[0]
    return None if scheme in SERVERS else deps.store.folder(FOLDER, "artifacts", deps.project)


def shown(uri: str) -> str:
    """Return `uri` as it may be printed: without user, password and query."""
    parts = urlsplit(uri)
    if not parts.netloc:
        return uri.partition("?")[0]
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def connect(deps: Deps) -> MlflowClient:
    """Return a client of the configured tracking server and registry; call it within `mlflow_errors`."""
    from mlflow import MlflowClient

    uri = tracking_uri(deps)
    return MlflowClient(tracking_uri=uri, registry_uri=deps.runtime.registry_uri or uri)


@contextlib.contextmanager
def mlflow_errors(deps: Deps) -> Iterator[None]:
    """Bound the time that MLflow's calls in this block take, and translate their errors.

    Raises
    ------
    UnreachableError
        The server or database does not answer: within about half a minute, at once when the port is closed.
    NotFoundError
        The host does not exist, or the server has no such thing.
    NotAllowedError
        The server refuses the token.
    ConfigError
        Something answers at the address, but it is not MLflow.
    MissingDependencyError
        The address names a database whose driver is not installed.
    """
    import requests
    import sqlalchemy.exc

    with _ENVIRONMENT.of(deps):
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, requests.RequestException, sqlalchemy.exc.SQLAlchemyError) as error:
            raise _translated(error, shown(tracking_uri(deps))) from None
        except ModuleNotFoundError as error:
            # A database's driver, such as psycopg.
            raise MissingDependencyError(error.name or str(error)) from None


class _Environment:
    """The variables that MLflow reads at each request, set while anybody asks: children inherit no token.

    The environment is the process's, while pages ask from many threads: the first who comes sets them, the last who
    goes puts back what was there.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._askers = 0
        self._before: dict[str, str | None] = {}

    @contextlib.contextmanager
    def of(self, deps: Deps) -> Iterator[None]:
        """Set the variables for a block."""
        with self._lock:
            if not self._askers:
                self._before = {name: os.environ.get(name) for name in (*ENVIRONMENT, TOKEN)}
            self._askers += 1
            for name, value in ENVIRONMENT.items():
                os.environ.setdefault(name, value)
            if deps.runtime.tracking_token is not None:
                os.environ[TOKEN] = deps.runtime.tracking_token.get_secret_value()
        try:
            yield
        finally:
            with self._lock:
                self._askers -= 1
                if not self._askers:
                    self._put_back()

    def _put_back(self) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_ENVIRONMENT = _Environment()


def _translated(error: Exception, uri: str) -> AimassError:
    """Return our error for one of MLflow's."""
    names = _names(error)
    code = str(getattr(error, "error_code", ""))
    status = getattr(error, "get_http_status_code", lambda: 0)()
    if any(name in UNKNOWN_HOST for name in names):
        return NotFoundError(
            f"The host of the tracking server {uri} does not exist", hint="Check tracking_uri", uri=uri
        )
    if {"ConnectionError", "Timeout", "OperationalError", "MaxRetryError", "ConnectTimeout", "ReadTimeout"} & names:
        return UnreachableError(
            f"The tracking server {uri} does not answer", hint="Check that MLflow runs there, then retry", uri=uri
        )
    if code in NOT_ALLOWED or status in NOT_ALLOWED_STATUS:
        return NotAllowedError(f"The tracking server {uri} refuses the token", hint="Renew tracking_token", uri=uri)
    if code == "RESOURCE_DOES_NOT_EXIST":
        return NotFoundError(f"The tracking server {uri} says: {_first_line(error)}", uri=uri)
    if code in ("ENDPOINT_NOT_FOUND", "") or "not in a valid JSON format" in str(error):
        return ConfigError(
            f"What answers at {uri} is not an MLflow tracking server",
            expected="an address such as http://host:5000 or sqlite:////path/mlflow.db",
            hint="Check tracking_uri",
            uri=uri,
        )
    kind = ConfigError if code == "INVALID_PARAMETER_VALUE" else TransientError
    return kind(f"The tracking server {uri} says: {_first_line(error)}", uri=uri)


def _names(error: BaseException | None) -> set[str]:
    """Return the class names of `error`, of what caused it, and of their bases."""
    names: set[str] = set()
    while error is not None:
        names.update(base.__name__ for base in type(error).__mro__)
        inner = [item for item in (*error.args, getattr(error, "reason", None)) if isinstance(item, BaseException)]
        for item in inner:
            names |= _names(item) if item is not error else set()
        error = error.__cause__ or error.__context__
    return names


def _first_line(error: Exception) -> str:
    """Return the start of the error's text; addresses in it lose their user and password."""
    text = re.sub(r"//[^/@\s]+@", "//", str(error)).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__

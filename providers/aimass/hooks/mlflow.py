"""The connection type ``aimass_mlflow``: the tracking server and model registry."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import NamedTuple

from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret

from aimass.core.errors import ConfigError
from aimass.hooks.address import address_of

TEST_TIMEOUT_S = 10


class MlflowSettings(NamedTuple):
    """The tracking server as the engine wants it.

    Attributes
    ----------
    tracking_uri : str
        Server address or database URL.
    registry_uri : str, optional
        Model registry, where it is another one.
    token : str, optional
        Bearer token.
    """

    tracking_uri: str
    registry_uri: str | None
    token: str | None


class MlflowHook(BaseHook):
    """Reads the MLflow server that a connection describes.

    Parameters
    ----------
    tracking_conn_id : str
        Connection of type ``aimass_mlflow``.
    """

    conn_name_attr = "tracking_conn_id"
    default_conn_name = "aimass_mlflow"
    conn_type = "aimass_mlflow"
    hook_name = "AI Mass MLflow"

    def __init__(self, tracking_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.tracking_conn_id = tracking_conn_id

    def settings(self) -> MlflowSettings:
        """Return the connection as engine settings; raises ConfigError when it names no server."""
        return mlflow_settings(self.get_connection(self.tracking_conn_id))

    def get_conn(self) -> MlflowSettings:
        """Return what the engine needs to reach the server."""
        return self.settings()

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server for one experiment; return whether that worked and what happened."""
        try:
            settings = self.settings()
            if not settings.tracking_uri.startswith(("http://", "https://")):
                return True, f"{settings.tracking_uri.partition('://')[0]} store; it is opened by the first run"
            _search_experiments(settings)
        except (ConfigError, urllib.error.URLError, OSError, ValueError) as error:
            return False, str(error)
        return True, f"{settings.tracking_uri} answered"


def mlflow_settings(connection: Connection) -> MlflowSettings:
    """Return the engine's settings for `connection`."""
    extra = connection.extra_dejson
    uri = extra.get("tracking_uri") or address_of(connection)
    if not uri:
        raise ConfigError(
            f"The connection {connection.conn_id!r} names no tracking server",
            expected="an address in the field 'Tracking URI', such as http://mlflow:5000",
        )
    if connection.password:
        mask_secret(connection.password)
    return MlflowSettings(uri, extra.get("registry_uri") or None, connection.password or None)


def _search_experiments(settings: MlflowSettings) -> None:
    request = urllib.request.Request(  # noqa: S310 - the caller lets only http and https through
        f"{settings.tracking_uri.rstrip('/')}/api/2.0/mlflow/experiments/search",
        data=json.dumps({"max_results": 1}).encode(),
        headers={"Content-Type": "application/json"},
    )
    if settings.token:
        request.add_header("Authorization", f"Bearer {settings.token}")
    with urllib.request.urlopen(request, timeout=TEST_TIMEOUT_S) as response:  # noqa: S310 - idem
        json.load(response)

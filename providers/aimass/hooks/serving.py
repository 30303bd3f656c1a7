"""The connection type ``aimass_serving``: an inference server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from aimass.core.backends import backend_of
from aimass.core.endpoints import ENDPOINTS
from aimass.core.endpoints.base import Endpoint
from aimass.core.errors import AimassError, ConfigError, NotFoundError
from aimass.hooks.address import address_of
from aimass.hooks.options import option

HTTP_FIELDS = ("verify_tls", "ca_file", "timeout_s", "work_timeout_s")
"""Extras of the connection that an endpoint of the type ``http`` takes besides its address and token."""


class ServingHook(BaseHook):
    """Reaches the inference server that a connection describes.

    Parameters
    ----------
    serving_conn_id : str
        Connection of type ``aimass_serving``.
    """

    conn_name_attr = "serving_conn_id"
    default_conn_name = "aimass_serving"
    conn_type = "aimass_serving"
    hook_name = "AI Mass inference server"

    def __init__(self, serving_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.serving_conn_id = serving_conn_id

    def document(self) -> dict[str, Any]:
        """Return the connection as an endpoint's document, ``{"type": "http", "url": …}``.

        Raises
        ------
        ConfigError
            The connection names no server.
        NotFoundError
            There is no such connection, and no option takes the default one's place.
        """
        try:
            return endpoint_document(self.get_connection(self.serving_conn_id))
        except AirflowNotFoundException:
            url = option("serving_url")
            if self.serving_conn_id == self.default_conn_name and url:
                return {"type": "http", "url": url}
        raise NotFoundError(
            f"There is no connection {self.serving_conn_id!r}",
            expected=f"a connection of type {self.conn_type}",
            hint="Add it under Admin → Connections; [aimass] serving_url takes the place of the default one",
        )

    def get_conn(self) -> Endpoint:
        """Return the server, ready to be asked."""
        backend, settings = backend_of(ENDPOINTS, self.document())
        return backend(settings)

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server for its status; return whether that worked and what it serves."""
        try:
            status = self.get_conn().status()
        except AimassError as error:
            return False, str(error)
        served = ", ".join(model.name for model in status.models) or "no model"
        return True, f"{status.server_id} answered; it serves {served}"


def endpoint_document(connection: Connection) -> dict[str, Any]:
    """Return an endpoint's document for `connection`.

    The extra ``type`` names another backend than ``http``, whose settings are then the other extras.
    """
    extra = connection.extra_dejson
    if extra.get("type", "http") != "http":
        return dict(extra)
    url = address_of(connection)
    if not url:
        raise ConfigError(
            f"The connection {connection.conn_id!r} names no server",
            expected="an address in the field 'Host', such as serving.example.org",
        )
    document = {"type": "http", "url": url}
    if connection.password:
        mask_secret(connection.password)
        document["token"] = connection.password
    return document | {name: extra[name] for name in HTTP_FIELDS if extra.get(name) not in (None, "")}


def conn_ids(named: str | Sequence[str]) -> list[str]:
    """Return the connection ids in `named`: a sequence, or text that separates them by commas or white space."""
    names = named.replace(",", " ").split() if isinstance(named, str) else named
    return list(dict.fromkeys(names))


def endpoints_of(named: str | Sequence[str]) -> Mapping[str, Endpoint]:
    """Return the servers by the ids of their connections; see `conn_ids`.

    Raises
    ------
    ConfigError, NotFoundError
        No connection was named, or one that was does not exist or names no server.
    """
    names = conn_ids(named)
    if not names:
        raise ConfigError("No inference server was named", expected=f"ids of connections {ServingHook.conn_type}")
    return {name: ServingHook(name).get_conn() for name in names}

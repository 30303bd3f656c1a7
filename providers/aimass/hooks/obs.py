"""The connection type ``aimass_obs``: Huawei Cloud's OBS or another object store; Amazon's ``aws`` is read, too."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret

from aimass.core.connections import parse_connection
from aimass.core.errors import AimassError, ConfigError, MissingDependencyError
from aimass.core.object_storage.connection import ObsConnection
from aimass.hooks.address import address_of

if TYPE_CHECKING:
    from obs import ObsClient

EXTRAS = (
    "protocol",
    "addressing",
    "region",
    "credentials",
    "security_token",
    "ca_file",
    "proxy_url",
    "timeout_s",
    "retries",
)
TEST_TIMEOUT_S = 10


class ObsHook(BaseHook):
    """Reaches the object store that a connection describes.

    Parameters
    ----------
    obs_conn_id : str
        Connection of type ``aimass_obs`` or ``aws``.
    """

    conn_name_attr = "obs_conn_id"
    default_conn_name = "aimass_obs"
    conn_type = "aimass_obs"
    hook_name = "AI Mass OBS"

    def __init__(self, obs_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.obs_conn_id = obs_conn_id

    def document(self) -> dict[str, Any]:
        """Return the connection as the engine's model takes it.

        Raises
        ------
        ConfigError
            An `aws` connection asks for something that the engine will not do, such as not to verify certificates.
        """
        connection = self.get_connection(self.obs_conn_id)
        document = aws_document(connection) if connection.conn_type == "aws" else obs_document(connection)
        for name in ("secret_access_key", "security_token", "proxy_url"):
            if document.get(name):
                mask_secret(document[name])
        return document

    def get_conn(self) -> ObsClient:
        """Return Huawei's client, which verifies certificates here."""
        try:
            from aimass.core.object_storage.client import open_sdk
        except ModuleNotFoundError as error:
            raise MissingDependencyError(error.name or "obs", extra="obs") from error
        return open_sdk(self._settings())

    def test_connection(self) -> tuple[bool, str]:
        """List the buckets, or one object of the bucket that the extra `bucket` names; return what came of it."""
        bucket = self.get_connection(self.obs_conn_id).extra_dejson.get("bucket")
        try:
            from aimass.core.object_storage.check import check

            settings = self._settings()
            timeout_s = min(TEST_TIMEOUT_S, settings.timeout_s)
            return True, check(settings.model_copy(update={"retries": 0, "timeout_s": timeout_s}), bucket or None)
        except (AimassError, ModuleNotFoundError) as error:
            return False, str(error)

    def _settings(self) -> ObsConnection:
        return parse_connection(self.obs_conn_id, self.document(), ObsConnection)


def obs_document(connection: Connection) -> dict[str, Any]:
    """Return the document of a connection of our own type."""
    extra = connection.extra_dejson
    document = {name: extra[name] for name in EXTRAS if extra.get(name) not in (None, "")}
    fields = {
        "endpoint": address_of(connection, scheme="https"),
        "access_key_id": connection.login,
        "secret_access_key": connection.password,
    }
    return document | {name: value for name, value in fields.items() if value}


def aws_document(connection: Connection) -> dict[str, Any]:
    """Return the document of a connection of the type that Amazon's provider has.

    Raises
    ------
    ConfigError
        It assumes a role, or asks not to verify certificates.
    """
    extra = connection.extra_dejson
    if extra.get("verify") is False:
        raise ConfigError(
            f"The connection {connection.conn_id!r} sets verify to false", expected="the path of a CA file in verify"
        )
    if extra.get("role_arn"):
        raise ConfigError(
            f"The connection {connection.conn_id!r} assumes a role, which is not supported here",
            expected="keys, or the worker's own identity",
        )
    service = (extra.get("service_config") or {}).get("s3") or {}
    endpoint = service.get("endpoint_url") or extra.get("endpoint_url") or connection.host
    key, secret = connection.login, connection.password
    fields = {
        "endpoint": endpoint,
        "addressing": _addressing(extra, endpoint),
        "region": extra.get("region_name"),
        "access_key_id": key or extra.get("aws_access_key_id"),
        "secret_access_key": secret or extra.get("aws_secret_access_key"),
        "security_token": extra.get("aws_session_token"),
        "ca_file": extra.get("verify") if isinstance(extra.get("verify"), str) else None,
    }
    found = {name: value for name, value in fields.items() if value}
    return {"protocol": "s3", "credentials": "keys" if "access_key_id" in found else "chain", **found}


def _addressing(extra: Mapping[str, Any], endpoint: str | None) -> str:
    """Return what the connection says; where it says nothing, a bucket cannot stand before an IP address."""
    wanted = ((extra.get("config_kwargs") or {}).get("s3") or {}).get("addressing_style")
    if wanted in ("path", "virtual"):
        return str(wanted)
    host = urlsplit(endpoint).hostname if endpoint else None
    try:
        ipaddress.ip_address(host or "")
    except ValueError:
        return "path" if host == "localhost" else "virtual"
    return "path"

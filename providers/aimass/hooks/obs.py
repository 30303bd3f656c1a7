"""The connection type ``aimass_obs``: Huawei Cloud's OBS or another object store; Amazon's ``aws`` is read, too."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aimass.core.errors import ConfigError, MissingDependencyError
from aimass.core.object_storage.connection import ObsConnection
from aimass.core.settings import given
from aimass.hooks.address import address_of
from aimass.hooks.source import SourceHook, ca_file_of_standard

if TYPE_CHECKING:
    from airflow.sdk import Connection
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
STANDARD_TYPE = "aws"


class ObsHook(SourceHook[ObsConnection]):
    """Reaches the object store of a connection of type ``aimass_obs``, or Amazon's ``aws``."""

    default_conn_name = conn_type = "aimass_obs"
    hook_name = "AI Mass OBS"
    model = ObsConnection
    secrets = ("secret_access_key", "security_token", "proxy_url")

    def read(self, connection: Connection) -> dict[str, Any]:
        """Return the fields of the engine's model."""
        return aws_document(connection) if connection.conn_type == STANDARD_TYPE else obs_document(connection)

    def get_conn(self) -> ObsClient:
        """Return Huawei's client, which verifies certificates here."""
        try:
            from aimass.core.object_storage.client import open_sdk
        except ModuleNotFoundError as error:
            raise MissingDependencyError(error.name or "obs", extra="obs") from error
        return open_sdk(self.settings())

    def check(self, connection: ObsConnection) -> str:
        """List the buckets, or one object of the bucket that the extra `bucket` names."""
        from aimass.core.object_storage.check import check

        bucket = self.get_connection(self.conn_id).extra_dejson.get("bucket")
        return check(connection.model_copy(update={"retries": 0}), bucket or None)


def obs_document(connection: Connection) -> dict[str, Any]:
    """Return the document of a connection of our own type."""
    fields = {
        "endpoint": address_of(connection, scheme="https"),
        "access_key_id": connection.login,
        "secret_access_key": connection.password,
    }
    return given({**fields, **{name: connection.extra_dejson.get(name) for name in EXTRAS}})


def aws_document(connection: Connection) -> dict[str, Any]:
    """Return the document of a connection of the type that Amazon's provider has.

    Raises
    ------
    ConfigError
        It assumes a role, or asks not to verify certificates.
    """
    extra = connection.extra_dejson
    if extra.get("role_arn"):
        raise ConfigError(
            f"The connection {connection.conn_id!r} assumes a role, which is not supported here",
            expected="keys, or the worker's own identity",
        )
    service = (extra.get("service_config") or {}).get("s3") or {}
    endpoint = service.get("endpoint_url") or extra.get("endpoint_url") or connection.host
    key, secret = connection.login, connection.password
    found = given(
        {
            "endpoint": endpoint,
            "addressing": _addressing(extra, endpoint),
            "region": extra.get("region_name"),
            "access_key_id": key or extra.get("aws_access_key_id"),
            "secret_access_key": secret or extra.get("aws_secret_access_key"),
            "security_token": extra.get("aws_session_token"),
            "ca_file": ca_file_of_standard(connection),
        }
    )
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

"""The connection type ``aimass_mongodb``: a MongoDB deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aimass.core.errors import ConfigError
from aimass.core.settings import given
from aimass.core.sources.mongodb.connection import MongoDbConnection
from aimass.hooks.source import SourceHook, account

if TYPE_CHECKING:
    from airflow.sdk import Connection

STANDARD_TYPE = "mongo"
FIELDS = (
    "is_srv",
    "auth_source",
    "auth_mechanism",
    "replica_set",
    "is_direct",
    "read_preference",
    "tls",
    "ca_file",
    "certificate_key_file",
    "timeout_s",
    "read_timeout_s",
)
"""Extras of our own type that are fields of the engine's model."""
DRIVER_FIELDS = {
    "srv": "is_srv",
    "ssl": "tls",
    "tls": "tls",
    "authsource": "auth_source",
    "authmechanism": "auth_mechanism",
    "replicaset": "replica_set",
    "directconnection": "is_direct",
    "readpreference": "read_preference",
    "tlscafile": "ca_file",
    "ssl_ca_certs": "ca_file",
    "tlscertificatekeyfile": "certificate_key_file",
}
"""What the official provider's extra, options of the driver in any case, calls our fields."""
INSECURE = ("allow_insecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames", "tlsinsecure")
HARMLESS = ("retrywrites", "retryreads", "w", "appname", "maxpoolsize", "connecttimeoutms")


class MongoDbHook(SourceHook[MongoDbConnection]):
    """Reaches the deployment of a connection of type ``aimass_mongodb``, or ``mongo`` of the official provider."""

    default_conn_name = conn_type = "aimass_mongodb"
    hook_name = "AI Mass MongoDB"
    model = MongoDbConnection

    def read(self, connection: Connection) -> dict[str, Any]:
        """Return the fields of the engine's model."""
        return mongodb_document(connection)

    def check(self, connection: MongoDbConnection) -> str:
        """Log in."""
        from aimass.core.sources.mongodb.sessions import check

        return check(connection)


def mongodb_document(connection: Connection) -> dict[str, Any]:
    """Return the engine's document for `connection`.

    Raises
    ------
    ConfigError
        No host is named, or the official provider's extra asks for what we do not do.
    """
    extra = connection.extra_dejson
    if not connection.host:
        raise ConfigError(
            f"The connection {connection.conn_id!r} names no host",
            expected="a host, or several of a replica set as host:port,host:port",
            conn_id=connection.conn_id,
        )
    more = _from_driver(extra) if connection.conn_type == STANDARD_TYPE else {name: extra.get(name) for name in FIELDS}
    return given(
        {
            **account(connection),
            "database": connection.schema,
            **more,
        }
    )


def _from_driver(extra: Mapping[str, Any]) -> dict[str, Any]:
    options = {name.lower(): value for name, value in extra.items() if not name.startswith("__")}
    insecure = [name for name in INSECURE if options.pop(name, None) in (True, "true", "True")]
    unknown = [name for name in options if name not in (*DRIVER_FIELDS, *HARMLESS, *INSECURE)]
    if insecure or unknown:
        raise ConfigError(
            f"The connection asks for {', '.join(insecure + unknown)}",
            expected="certificates that are verified, and options of the driver that a reader needs",
            known=DRIVER_FIELDS,
            hint="Name your authority's certificates in tlsCAFile" if insecure else None,
        )
    document = {DRIVER_FIELDS[name]: value for name, value in options.items() if name in DRIVER_FIELDS}
    # The official provider says `ssl` for every +srv address, which is encrypted anyway.
    return document | ({"tls": True} if document.get("is_srv") in (True, "true", "True") else {})

"""The connection type ``aimass_mongodb``: a MongoDB deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret

from aimass.core.connections import parse_connection
from aimass.core.errors import AimassError, ConfigError
from aimass.core.settings import given
from aimass.core.sources.mongodb.connection import MongoDbConnection

STANDARD_TYPE = "mongo"
TEST_TIMEOUT_S = 10.0
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


class MongoDbHook(BaseHook):
    """Reaches the MongoDB deployment that a connection describes: of our type, or of the official provider's.

    Parameters
    ----------
    mongodb_conn_id : str
        Connection of type ``aimass_mongodb`` or ``mongo``.
    """

    conn_name_attr = "mongodb_conn_id"
    default_conn_name = "aimass_mongodb"
    conn_type = "aimass_mongodb"
    hook_name = "AI Mass MongoDB"

    def __init__(self, mongodb_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.mongodb_conn_id = mongodb_conn_id

    def document(self) -> dict[str, Any]:
        """Return the connection as the engine's document; raises ConfigError where it cannot be one."""
        return mongodb_document(self.get_connection(self.mongodb_conn_id))

    def get_conn(self) -> MongoDbConnection:
        """Return the connection as the engine's model."""
        return parse_connection(self.mongodb_conn_id, self.document(), MongoDbConnection)

    def test_connection(self) -> tuple[bool, str]:
        """Log in; return whether that worked and what happened."""
        from aimass.core.sources.mongodb.sessions import check

        try:
            connection = self.get_conn()
            limits = {name: min(getattr(connection, name), TEST_TIMEOUT_S) for name in ("timeout_s", "read_timeout_s")}
            return True, check(connection.model_copy(update=limits))
        except AimassError as error:
            return False, str(error)


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
    if connection.password:
        mask_secret(connection.password)
    more = _from_driver(extra) if connection.conn_type == STANDARD_TYPE else {name: extra.get(name) for name in FIELDS}
    return given(
        {
            "host": connection.host,
            "port": connection.port,
            "database": connection.schema,
            "user": connection.login,
            "password": connection.password,
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

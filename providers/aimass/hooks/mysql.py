"""The connection type ``aimass_mysql``: a MySQL server; the official ``mysql`` is read, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aimass.core.errors import ConfigError, MissingDependencyError
from aimass.core.settings import given
from aimass.core.sources.mysql.connection import MySqlConnection
from aimass.hooks.source import SourceHook, account

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from airflow.sdk import Connection
    from mysql.connector.connection import MySQLConnection

EXTRAS = ("tls", "tls_ca", "connect_timeout_s", "read_timeout_s")
STANDARD_TYPE = "mysql"


class MySqlHook(SourceHook[MySqlConnection]):
    """Reaches the server of a connection of type ``aimass_mysql``, or ``mysql`` of the official provider."""

    default_conn_name = conn_type = "aimass_mysql"
    hook_name = "AI Mass MySQL"
    model = MySqlConnection

    def read(self, connection: Connection) -> dict[str, Any]:
        """Return the fields of the engine's model."""
        return mysql_document(connection)

    def get_conn(self) -> AbstractContextManager[MySQLConnection]:
        """Return a session of mysql-connector-python, to be used as a context."""
        try:
            from aimass.core.sources.mysql.sessions import session
        except ModuleNotFoundError as error:
            raise MissingDependencyError("mysql-connector-python", extra="mysql") from error
        return session(self.settings())

    def check(self, connection: MySqlConnection) -> str:
        """Ask the server for its version."""
        from aimass.core.sources.mysql.sessions import check

        return f"{connection.address} answered: MySQL or compatible, version {check(connection)}"


def mysql_document(connection: Connection) -> dict[str, Any]:
    """Return the engine's document for `connection`.

    Raises
    ------
    ConfigError
        A `mysql` connection asks for what the engine will not do, such as a socket or an unverified certificate.
    """
    extra = connection.extra_dejson
    is_standard = connection.conn_type == STANDARD_TYPE
    return given(
        {
            **account(connection),
            "database": connection.schema,
            **(_tls_of_standard(connection) if is_standard else {name: extra.get(name) for name in EXTRAS}),
        }
    )


def _tls_of_standard(connection: Connection) -> dict[str, Any]:
    """Return TLS where the extra ``ssl`` of the official type asks for it, and then verified."""
    extra = connection.extra_dejson
    if extra.get("unix_socket"):
        raise ConfigError(
            f"The connection {connection.conn_id!r} goes through a socket file", expected="a host and a port"
        )
    tls = extra.get("ssl") or {}
    if not isinstance(tls, dict):
        raise ConfigError(f"The extra `ssl` of the connection {connection.conn_id!r} is no object of fields")
    if tls.get("cert") or tls.get("key"):
        raise ConfigError(
            f"The connection {connection.conn_id!r} has a certificate for the client, which is not supported here",
            expected="user and password",
        )
    mode = str(extra.get("ssl_mode") or "").upper()
    wants_tls = bool(tls) or mode in ("REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
    return {"tls": "verified" if wants_tls else "off", "tls_ca": tls.get("ca")}

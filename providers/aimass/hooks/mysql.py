"""The connection type ``aimass_mysql``: a MySQL server; the official ``mysql`` is read, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret

from aimass.core.connections import parse_connection
from aimass.core.errors import AimassError, ConfigError, MissingDependencyError
from aimass.core.sources.mysql.connection import MySqlConnection

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mysql.connector.connection import MySQLConnection

EXTRAS = ("tls", "tls_ca", "connect_timeout_s", "read_timeout_s")
TEST_TIMEOUT_S = 10


class MySqlHook(BaseHook):
    """Reaches the MySQL server that a connection describes.

    Parameters
    ----------
    mysql_conn_id : str
        Connection of type ``aimass_mysql`` or ``mysql``.
    """

    conn_name_attr = "mysql_conn_id"
    default_conn_name = "aimass_mysql"
    conn_type = "aimass_mysql"
    hook_name = "AI Mass MySQL"

    def __init__(self, mysql_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.mysql_conn_id = mysql_conn_id

    def document(self) -> dict[str, Any]:
        """Return the connection as the engine's model takes it.

        Raises
        ------
        ConfigError
            A `mysql` connection asks for what the engine will not do, such as a socket or an unverified certificate.
        """
        connection = self.get_connection(self.mysql_conn_id)
        document = _standard_document(connection) if connection.conn_type == "mysql" else _document(connection)
        if connection.password:
            mask_secret(connection.password)
        return document

    def get_conn(self) -> AbstractContextManager[MySQLConnection]:
        """Return a session of mysql-connector-python, to be used as a context."""
        try:
            from aimass.core.sources.mysql.sessions import session
        except ModuleNotFoundError as error:
            raise MissingDependencyError("mysql-connector-python", extra="mysql") from error
        return session(self._settings())

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server for its version; return whether that worked and what came of it."""
        try:
            from aimass.core.sources.mysql.sessions import check

            wanted = self._settings()
            limits = {"connect_timeout_s": TEST_TIMEOUT_S, "read_timeout_s": TEST_TIMEOUT_S}
            version = check(wanted.model_copy(update=limits))
        except (AimassError, ModuleNotFoundError) as error:
            return False, str(error)
        return True, f"{wanted.address} answered: MySQL or compatible, version {version}"

    def _settings(self) -> MySqlConnection:
        return parse_connection(self.mysql_conn_id, self.document(), MySqlConnection)


def _document(connection: Connection) -> dict[str, Any]:
    extra = connection.extra_dejson
    return _fields(connection) | {name: extra[name] for name in EXTRAS if extra.get(name) not in (None, "")}


def _standard_document(connection: Connection) -> dict[str, Any]:
    """Return the document of the official type: TLS where its extra ``ssl`` asks for it, and then verified."""
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
    ca = {"tls_ca": tls["ca"]} if tls.get("ca") else {}
    return _fields(connection) | {"tls": "verified" if wants_tls else "off"} | ca


def _fields(connection: Connection) -> dict[str, Any]:
    fields = {
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "database": connection.schema,
    }
    return {name: value for name, value in fields.items() if value}

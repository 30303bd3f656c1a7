"""Sessions with a MySQL server, and what its errors mean."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mysql.connector import errorcode
from mysql.connector.errors import Error

from aimass.core.errors import (
    AimassError,
    ConfigError,
    DataError,
    NotAllowedError,
    NotFoundError,
    SchemaMismatchError,
    UnreachableError,
)
from aimass.core.sources.mysql.connection import MySqlConnection
from aimass.core.sources.mysql.login import connect, hang_up

if TYPE_CHECKING:
    from mysql.connector.connection import MySQLConnection

# It tells of each plugin that it loads: a sensor that polls would fill the triggerer's log.
logging.getLogger("mysql.connector").setLevel(logging.WARNING)
# Times come as UTC, and text as UTF-8, whatever the server's settings are.
SESSION = ("SET time_zone = '+00:00'",)

_REFUSED = {
    errorcode.ER_ACCESS_DENIED_ERROR,
    errorcode.ER_DBACCESS_DENIED_ERROR,
    errorcode.ER_TABLEACCESS_DENIED_ERROR,
    errorcode.ER_COLUMNACCESS_DENIED_ERROR,
    errorcode.ER_SPECIFIC_ACCESS_DENIED_ERROR,
    errorcode.ER_ACCESS_DENIED_NO_PASSWORD_ERROR,
    errorcode.ER_MUST_CHANGE_PASSWORD_LOGIN,
    errorcode.ER_ACCOUNT_HAS_BEEN_LOCKED,
    errorcode.ER_VIEW_INVALID,
}
_NOT_THERE = {errorcode.ER_NO_SUCH_TABLE, errorcode.ER_BAD_DB_ERROR, errorcode.ER_UNKNOWN_TABLE}
_WRONG = {
    errorcode.ER_PARSE_ERROR: ConfigError,
    errorcode.ER_SYNTAX_ERROR: ConfigError,
    errorcode.ER_BAD_FIELD_ERROR: SchemaMismatchError,
    errorcode.ER_WRONG_FIELD_WITH_GROUP: ConfigError,
    errorcode.ER_NON_UNIQ_ERROR: ConfigError,
    errorcode.ER_DUP_FIELDNAME: ConfigError,
    errorcode.ER_DIVISION_BY_ZERO: DataError,
}


@contextlib.contextmanager
def session(connection: MySqlConnection) -> Iterator[MySQLConnection]:
    """Open a session that sees times in UTC; errors inside the block are ours.

    Raises
    ------
    NotAllowedError
        Name, password or rights are wrong.
    UnreachableError
        Nobody answers, or not in time, or stops answering.
    ConfigError
        The certificate is not to be trusted, or the server offers no TLS.
    """
    with translated_errors(connection):
        opened = _open(connection)
        try:
            for statement in SESSION:
                opened.cmd_query(statement)
            yield opened
        finally:
            # close() would first read what is left of a result.
            if not opened.unread_result:
                with contextlib.suppress(Error, OSError):
                    opened.close()
            hang_up(opened)


def check(connection: MySqlConnection) -> str:
    """Ask the server who it is; return its version. Raises what `session` raises."""
    with session(connection) as opened:
        return str(rows_of(opened, "SELECT VERSION()")[0][0])


def rows_of(opened: MySQLConnection, statement: str) -> list[tuple[Any, ...]]:
    """Return the few rows of `statement`."""
    with contextlib.closing(opened.cursor()) as cursor:
        cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()]


def _open(connection: MySqlConnection) -> MySQLConnection:
    tls: dict[str, Any] = {"ssl_disabled": True}
    if connection.tls == "verified":
        tls = {"ssl_ca": connection.authorities, "ssl_verify_cert": True, "ssl_verify_identity": True}
    return connect(
        host=connection.host,
        port=connection.port,
        user=connection.user,
        password=connection.password.get_secret_value(),
        database=connection.database or None,
        connection_timeout=connection.connect_timeout_s,
        read_timeout=connection.read_timeout_s,
        **tls,
    )


@contextlib.contextmanager
def translated_errors(connection: MySqlConnection) -> Iterator[None]:
    """Turn the errors of a connection's libraries into ours."""
    try:
        yield
    except Error as error:
        raise server_error(connection, error.errno or 0, error.msg or str(error)) from error
    except OSError as error:
        raise _unreachable(connection, str(error)) from error


def server_error(connection: MySqlConnection, number: int, text: str) -> AimassError:
    """Return our error for the server's error `number`; 0 where the number is unknown.

    Wrong statements name no password, so the server's text may be told.
    """
    where = f"MySQL at {connection.address}"
    if "requires SSL" in text:
        return ConfigError(
            f"{where} is not told the password: {text}",
            expected="an encrypted connection for this way of logging in",
            hint="Set tls: verified, or give the user `caching_sha2_password` on a server that has a key",
        )
    if "SSL" in text or "certificate" in text.lower() or "Tls" in text:
        return ConfigError(
            f"{where} cannot be trusted: {text}",
            expected=f"a certificate for {connection.host!r} that {connection.tls_ca or 'the system'} trusts",
            hint="Name the authority's file in `tls_ca` and the host as the certificate names it, or set tls: off",
        )
    if number in _REFUSED:
        return NotAllowedError(
            f"{where} refuses the user {connection.user!r}: {text}",
            hint="Check user and password of the connection; GRANT SELECT on what is to be read",
        )
    if number in _NOT_THERE:
        return NotFoundError(f"{where} says: {text}", hint="Check the name of the table and of its schema")
    if number in _WRONG:
        return _WRONG[number](f"{where} says: {text}", hint="Check `table`, `query`, `columns` and `where`")
    return _unreachable(connection, text)


def _unreachable(connection: MySqlConnection, text: str) -> UnreachableError:
    return UnreachableError(
        f"The connection to MySQL at {connection.address} failed: {text}",
        hint="Check host, port and that the server runs; the read goes on where it stopped when it is tried again",
    )

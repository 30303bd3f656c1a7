"""The client libraries that fetch rows: connectorx, and mysql-connector-python, of which rows are decoded by us.

Both are given the same statements, which ask for values that are the same in MySQL's text and binary protocols.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import pyarrow as pa

from aimass.core.errors import CorruptDataError, MissingDependencyError
from aimass.core.heap import share_heaps
from aimass.core.sources.mysql.connection import MySqlConnection
from aimass.core.sources.mysql.readers import Threads
from aimass.core.sources.mysql.sessions import SESSION, check, server_error, session, translated_errors
from aimass.core.sources.mysql.text_protocol import text_rows

if TYPE_CHECKING:
    from mysql.connector.connection import MySQLConnection

EngineName = Literal["auto", "connectorx", "connector"]

ROWS_PER_TABLE, BYTES_PER_TABLE = 65_536, 16 << 20


class Engine(Protocol):
    """Something that runs a statement and returns its rows.

    Attributes
    ----------
    refuses_dates : bool
        Whether a date that is none is a CorruptDataError, wherever it stands.
    """

    refuses_dates: ClassVar[bool]

    def fetch(self, statement: str) -> pa.Table:
        """Return all rows, in the library's own types; `typed` gives them ours. Safe to call from several threads."""


class ConnectorxEngine:
    """connectorx: rows become Arrow in Rust, outside Python's lock; each statement has a connection of its own.

    Parameters
    ----------
    connection : MySqlConnection
        The server.
    """

    refuses_dates: ClassVar[bool] = True

    def __init__(self, connection: MySqlConnection) -> None:
        self._connection = connection
        self._threads = Threads()
        share_heaps()

    def fetch(self, statement: str) -> pa.Table:
        """Return all rows.

        Raises
        ------
        UnreachableError, NotAllowedError, NotFoundError
            As the server says.
        ConfigError
            The server cannot be trusted with the password.
        CorruptDataError
            A value has no place in its Arrow type.
        """
        import connectorx

        def read() -> pa.Table:
            url, before = self._connection.url(), list(SESSION)
            return connectorx.read_sql(
                url, statement, return_type="arrow", protocol="binary", pre_execution_query=before
            )

        timeout_s = self._connection.connect_timeout_s + self._connection.read_timeout_s
        try:
            return self._threads.start(read).result(timeout_s)
        except TimeoutError:
            # It tries a login again and again, whatever is wrong with it; a session of ours says what that is.
            check(self._connection)
            raise server_error(self._connection, 0, "nothing came in time, see `read_timeout_s`") from None
        except BaseException as error:
            # A panic in Rust is no Exception; everything else that is none (KeyboardInterrupt) goes its way.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise self._translated(error) from None

    def _translated(self, error: BaseException) -> Exception:
        text = str(error).replace(self._connection.url(), self._connection.address)
        number = re.search(r"ERROR (\d+)", text)
        if number is None and "Couldn't convert the value" in text:
            return CorruptDataError(
                f"connectorx cannot read a value: {text[:300]}", hint="Set `engine: connector`, which reads any value"
            )
        return server_error(self._connection, int(number[1]) if number else 0, text[:500])


class ConnectorEngine:
    """mysql-connector-python: slower by far, and the only one that can keep a transaction open or a result unbuffered.

    Parameters
    ----------
    connection : MySqlConnection
        The server.
    opened : MySQLConnection, optional
        The session to use, by one thread at a time; each call opens its own where none is given.
    """

    refuses_dates: ClassVar[bool] = False

    def __init__(self, connection: MySqlConnection, opened: MySQLConnection | None = None) -> None:
        self._connection = connection
        self._opened = opened

    def fetch(self, statement: str) -> pa.Table:
        """Return all rows as bytes in the text protocol; raises what `session` raises."""
        if self._opened is None:
            with session(self._connection) as opened:
                return ConnectorEngine(self._connection, opened).fetch(statement)
        return pa.concat_tables(self.stream(statement, rows=ROWS_PER_TABLE, size_bytes=BYTES_PER_TABLE))

    def stream(self, statement: str, *, rows: int, size_bytes: int) -> Iterator[pa.Table]:
        """Yield all rows as the server sends them, until `rows` of them or `size_bytes` at a time; if none, no rows."""
        assert self._opened is not None
        with translated_errors(self._connection):
            yield from text_rows(self._opened, statement, rows=rows, size_bytes=size_bytes)


def connectorx_is_installed() -> bool:
    """Return whether connectorx can be imported."""
    return importlib.util.find_spec("connectorx") is not None


def make_engine(name: EngineName, connection: MySqlConnection) -> Engine:
    """Return the engine of a name; ``auto`` is connectorx where it is installed. Raises MissingDependencyError."""
    if name == "connectorx" and not connectorx_is_installed():
        raise MissingDependencyError("connectorx", extra="mysql")
    if name != "connector" and connectorx_is_installed():
        return ConnectorxEngine(connection)
    return ConnectorEngine(connection)

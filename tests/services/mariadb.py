"""MariaDB in MySQL's place; the server in AIMASS_TEST_MYSQL_URI (mysql://user:password@host:port) is used instead.

What the tests show is a stand-in's behaviour: MySQL's own default authentication, for one, is not there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import mysql.connector
import pytest

from tests.services.certificates import Certificates
from tests.services.server import free_port, running

PROGRAMS = ("mariadbd", "mariadb-install-db")
PASSWORD = "p@ss:/word ü"  # what breaks an address that is put together by hand
DATABASE = "aimass_test"


@dataclass
class MariaDb:
    """A server that answers.

    Attributes
    ----------
    host, port, user, password : str, int, str, str
        Who reaches it, with every right.
    folder : Path or None
        Where it keeps its files; None where the test did not start it.
    options : sequence of str
        Further options of the server's program.
    """

    host: str
    port: int
    user: str = "aimass"
    password: str = PASSWORD
    database: str = DATABASE
    folder: Path | None = None
    options: Sequence[str] = ()
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def connect(self, **changes: Any) -> Any:
        """Return a connection of mysql-connector-python."""
        wanted = {"database": self.database, "autocommit": True, "ssl_disabled": True, "connection_timeout": 5}
        who = {"host": self.host, "port": self.port, "user": self.user, "password": self.password}
        return mysql.connector.connect(**{**who, **wanted, **changes})

    def run(self, *statements: str, rows: Sequence[Sequence[Any]] | None = None) -> list[tuple[Any, ...]]:
        """Run the statements, the last one with each of `rows` where given; return the last one's rows."""
        found: list[tuple[Any, ...]] = []
        with contextlib.closing(self.connect()) as connection, contextlib.closing(connection.cursor()) as cursor:
            for statement in statements[: len(statements) if rows is None else -1]:
                cursor.execute(statement)
                found = cursor.fetchall() if cursor.with_rows else []
            if rows is not None:
                cursor.executemany(statements[-1], [tuple(row) for row in rows])
        return found

    def connection(self, **changes: Any) -> dict[str, Any]:
        """Return the document for the runtime's `connections`."""
        document = {"host": self.host, "port": self.port, "user": self.user, "password": self.password}
        return {**document, "database": self.database, "tls": "off", **changes}

    def start(self) -> None:
        """Start the program; it goes on with the files that are there."""
        assert self.folder is not None
        command = [
            "mariadbd", "--no-defaults", f"--datadir={self.folder / 'data'}", f"--socket={_socket_path(self.folder)}",
            f"--pid-file={self.folder / 'my.pid'}", f"--port={self.port}", "--bind-address=127.0.0.1",
            "--skip-log-bin", "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=256M",
            "--max-allowed-packet=64M", "--character-set-server=utf8mb4", *_as_root(), *self.options,
        ]  # fmt: skip
        log = self.folder / "mariadb.log"
        self._process = self._running.enter_context(running(command, log=log, is_ready=lambda: _answers(self.port)))

    def kill(self) -> None:
        """End the program as a power cut would; `start` brings it up again."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """End the program."""
        self._running.close()


@contextlib.contextmanager
def mariadb_server(folder: Path, *, certificates: Certificates | None = None) -> Iterator[MariaDb]:
    """Yield a server with an empty schema; with `certificates` it offers TLS."""
    given = os.environ.get("AIMASS_TEST_MYSQL_URI")
    if given and certificates is None:
        yield _given(given)
        return
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: run `make env-services`")
    tls = certificates and (
        f"--ssl-ca={certificates.ca}", f"--ssl-cert={certificates.certificate}", f"--ssl-key={certificates.key}"
    )  # fmt: skip
    server = MariaDb("127.0.0.1", free_port(), folder=folder, options=tls or ())
    _install(folder)
    server.start()
    try:
        _make_user(server)
        version = server.run("SELECT VERSION()")[0][0]
        print(f"MySQL stand-in: MariaDB {version}")
        yield server
    finally:
        server.stop()


def _install(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mariadb-install-db", "--no-defaults", f"--datadir={folder / 'data'}", "--skip-test-db"]
    command += ["--auth-root-authentication-method=normal", *_as_root()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _make_user(server: MariaDb) -> None:
    assert server.folder is not None
    root = {"user": "root", "password": "", "database": None}
    with contextlib.closing(server.connect(**root)) as connection, contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(f"CREATE DATABASE {server.database}")
        for host in ("localhost", "127.0.0.1", "%"):
            cursor.execute("CREATE USER %s@%s IDENTIFIED BY %s", (server.user, host, server.password))
            cursor.execute("GRANT ALL ON *.* TO %s@%s WITH GRANT OPTION", (server.user, host))


def _given(uri: str) -> MariaDb:
    parts = urlsplit(uri)
    server = MariaDb(
        parts.hostname or "127.0.0.1", parts.port or 3306, unquote(parts.username or ""), unquote(parts.password or "")
    )
    with contextlib.closing(server.connect(database=None)) as connection:
        connection.cmd_query(f"DROP DATABASE IF EXISTS {DATABASE}")
        connection.cmd_query(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
    return server


def _as_root() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _socket_path(folder: Path) -> str:
    """Return a path below the 107 bytes that a socket's may have, however deep the test's folder lies."""
    return f"/tmp/aimass-{abs(hash(str(folder))):x}.sock"


def _answers(port: int) -> bool:
    # A connection without a handshake counts as an error of the client's host, so read the greeting.
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
            return bool(probe.recv(5))
    except OSError:
        return False

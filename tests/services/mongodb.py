"""A server that speaks MongoDB's protocol, with users; AIMASS_TEST_MONGODB_URI is used instead where it is set.

The stand-in is SecantusDB. A URI of a real server must be an administrator's (``mongodb://user:password@host:port/``),
without TLS.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.services.server import free_port, running

PROGRAM = Path(__file__).resolve().parents[2] / ".tools/services/python/bin/secantusd-py"
ADMIN, ADMIN_PASSWORD = "root", "Root-Secret-7"
USER, PASSWORD = "reader", "Reader-Secret-9"
STRANGER, STRANGER_PASSWORD = "stranger", "Stranger-Secret-5"
ANSWER_TIMEOUT_MS = 1_000


class MongoDb:
    """The server; `USER` may read the database `database`, `STRANGER` may read another one only.

    Attributes
    ----------
    host : str
        Where it listens.
    port : int
        On which port.
    database : str
        A database of the test's own.
    is_own : bool
        Whether the test started it, and may kill it.
    """

    def __init__(self, folder: Path, given: str | None = None) -> None:
        parts = urlsplit(given or "")
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or (27017 if given else free_port())
        self.database = f"aimass_{uuid4().hex[:8]}"
        self._admin = (unquote(parts.username or ADMIN), unquote(parts.password or ADMIN_PASSWORD))
        self._folder = folder
        self.is_own = given is None
        self._stack = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, auth: bool = True) -> None:
        """Start, or start again after `kill`; return when it answers."""
        command = [str(PROGRAM), "--host", self.host, "--port", str(self.port)]
        command += ["--storage-path", str(self._folder / "data"), "--cache-size", "256M", "--sync-on-commit"]
        log = self._folder / "mongodb.log"
        ready = running(command + ["--auth"] * auth, log=log, is_ready=self._answers)
        self._process = self._stack.enter_context(ready)

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None, "the server is not the test's own"
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Drop the database, and end the server where it is the test's own."""
        if not self.is_own:
            with self.admin() as client:
                client.drop_database(self.database)
        elif self._process is not None:
            # It takes seconds to end by itself, and nobody needs what it would tidy up.
            self._process.kill()
        self._stack.close()

    def admin(self, *, auth: bool = True) -> MongoClient[dict[str, Any]]:
        """Return a client that may do everything."""
        user, password = self._admin
        login: dict[str, Any] = {"username": user, "password": password} if auth else {}
        return MongoClient(self.host, self.port, serverSelectionTimeoutMS=20_000, tz_aware=True, **login)

    def connection(self, **others: Any) -> dict[str, Any]:
        """Return the document for the runtime's connections."""
        named = {"host": self.host, "port": self.port, "database": self.database}
        return {**named, "user": USER, "password": PASSWORD, "auth_source": "admin", **others}

    def make_users(self, *, auth: bool) -> None:
        """Create the reader and the stranger, and before them the administrator where the server has none."""
        with self.admin(auth=auth) as client:
            if not auth:
                _create(client, *self._admin, {"role": "root", "db": "admin"})
            _create(client, USER, PASSWORD, {"role": "read", "db": self.database})
            _create(client, STRANGER, STRANGER_PASSWORD, {"role": "read", "db": "elsewhere"})

    def _answers(self) -> bool:
        try:
            with MongoClient(self.host, self.port, serverSelectionTimeoutMS=ANSWER_TIMEOUT_MS) as client:
                client.admin.command("ping")
        except PyMongoError as error:
            # A server that asks who we are is there.
            return "auth" in str(error).lower()
        return True


@contextlib.contextmanager
def mongodb_server(folder: Path) -> Iterator[MongoDb]:
    """Yield a server that keeps its data in `folder`."""
    given = os.environ.get("AIMASS_TEST_MONGODB_URI")
    server = MongoDb(folder, given)
    if given:
        server.make_users(auth=True)
    elif not PROGRAM.exists():
        pytest.skip("no MongoDB here: run `make env-services`")
    try:
        if not given:
            print("MongoDB stand-in: SecantusDB")
            server.start(auth=False)
            server.make_users(auth=False)
            server.kill()
            server.start()
        yield server
    finally:
        server.stop()


def _create(client: MongoClient[dict[str, Any]], user: str, password: str, role: dict[str, str]) -> None:
    with contextlib.suppress(PyMongoError):
        client.admin.command("dropUser", user)
    client.admin.command("createUser", user, pwd=password, roles=[role], mechanisms=["SCRAM-SHA-256"])

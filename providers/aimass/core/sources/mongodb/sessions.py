"""Clients of a MongoDB deployment, and what their driver's errors mean."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bson.codec_options import DatetimeConversion
from pymongo import MongoClient
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    CursorNotFound,
    ExecutionTimeout,
    InvalidName,
    OperationFailure,
    PyMongoError,
)

from aimass.core.errors import AimassError, ConfigError, NotAllowedError, NotFoundError, UnreachableError, nearest_name
from aimass.core.sources.mongodb.connection import MongoDbConnection
from aimass.core.sources.mongodb.keys import Documents
from aimass.core.sources.mongodb.values import to_json

AUTHENTICATION_FAILED, UNAUTHORIZED = 18, 13
RETRYABLE = frozenset({6, 7, 50, 89, 91, 136, 175, 189, 246, 262, 317, 9001, 10058, 10107, 11600, 11602, 13435, 13436})
"""Numbers of errors that another attempt may not meet: no primary, a shutdown, a time-out, a lost host, a lost index, a
capped collection that overtook the cursor.
"""

Client = MongoClient[dict[str, Any]]


@contextlib.contextmanager
def connected(settings: MongoDbConnection) -> Iterator[Client]:
    """Yield a client; the driver's errors become ours.

    Raises
    ------
    ConfigError
        The connection or a query is wrong.
    NotAllowedError
        The password is wrong, or a right is missing.
    UnreachableError
        Nobody answers, or no longer.
    """
    try:
        with _client(settings) as client:
            yield client
    except (PyMongoError, OSError) as error:
        raise translated(error, settings) from error


def check(settings: MongoDbConnection) -> str:
    """Log in and return what answered."""
    with connected(settings) as client:
        names = [settings.database] if settings.database else ["admin"]
        client[names[0]].command("ping")
        return f"MongoDB {client.server_info()['version']} at {settings.address} answered"


def check_exists(collection: Documents) -> None:
    """Raise NotFoundError unless the collection, or view, exists: a server answers nothing about one that does not."""
    database = collection.database
    known = _names(database.list_collection_names)
    if known is None or collection.name in known:
        return
    databases = None if known else _names(database.client.list_database_names)
    what, name, names = f"collection {collection.name!r} in the database {database.name!r}", collection.name, known
    if databases is not None and database.name not in databases:
        what, name, names = f"database {database.name!r}", database.name, databases
    nearest = nearest_name(name, names)
    raise NotFoundError(
        f"There is no {what}", known=names, hint=f"Did you mean {nearest!r}?" if nearest else None, nearest=nearest
    )


def moment_of(hello: Mapping[str, Any]) -> Any:
    """Return what differs after every write: the newest entry of a replica set's log; else the server's clock."""
    written = hello.get("lastWrite", {}).get("opTime")
    return to_json(written) if written else int(hello["localTime"])


def _names(ask: Callable[[], list[str]]) -> list[str] | None:
    """Return what a server lists; None where it does not let us see."""
    try:
        return ask()
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        return None


def translated(error: Exception, settings: MongoDbConnection) -> AimassError:
    """Return what a driver's error means; what it tells of queries is kept, and never a secret."""
    where = f"MongoDB at {settings.address}"
    if isinstance(error, OperationFailure):
        return _refusal(error, where, settings)
    if isinstance(error, ConnectionFailure | OSError):
        return UnreachableError(
            f"{where} does not answer: {_first_line(error)}",
            hint="Check host, port, TLS and that the server runs, then retry",
            address=settings.address,
        )
    if isinstance(error, ConfigurationError | InvalidName):
        return ConfigError(f"The connection to {where} is wrong: {_first_line(error)}")
    return ConfigError(f"{where} cannot be asked this: {_first_line(error)}")


def _refusal(error: OperationFailure, where: str, settings: MongoDbConnection) -> AimassError:
    said = str((error.details or {}).get("errmsg") or _first_line(error))[:500]
    if error.code == AUTHENTICATION_FAILED or "authentication failed" in said.lower():
        return NotAllowedError(
            f"{where} refuses the user {settings.user!r}: {said}",
            expected="the user's password, and in `auth_source` the database that knows the user",
        )
    if error.code == UNAUTHORIZED:
        return NotAllowedError(
            f"{where} does not let {settings.user or 'a client without a user'} do this: {said}",
            hint="Grant the role `read` on the database",
        )
    is_passing = isinstance(error, CursorNotFound | ExecutionTimeout) or error.has_error_label("RetryableError")
    if is_passing or error.code in RETRYABLE:
        return UnreachableError(f"{where} gave up: {said}", hint="Retry; reading goes on where it stood")
    return ConfigError(
        f"{where} does not understand the query: {said}", hint="Mend `filter`, `projection` or `pipeline`"
    )


def _client(settings: MongoDbConnection) -> Client:
    options: dict[str, Any] = {
        "replicaSet": settings.replica_set,
        "directConnection": settings.is_direct or None,
        "authSource": settings.auth_source or ("admin" if settings.user else None),
        "authMechanism": settings.auth_mechanism,
        "username": settings.user,
        "password": settings.password.get_secret_value() if settings.password else None,
        "tls": settings.tls or None,
        "tlsCAFile": settings.ca_file,
        "tlsCertificateKeyFile": settings.certificate_key_file,
    }
    timeout_ms = int(settings.timeout_s * 1_000)
    hosts = f"mongodb+srv://{settings.host}" if settings.is_srv else settings.host.split(",")
    return MongoClient(
        hosts,
        None if settings.is_srv else settings.port,
        serverSelectionTimeoutMS=timeout_ms,
        connectTimeoutMS=timeout_ms,
        socketTimeoutMS=int(settings.read_timeout_s * 1_000),
        readPreference=settings.read_preference,
        # What a failed primary may take back must not be published.
        readConcernLevel="majority",
        appname="aimass",
        datetime_conversion=DatetimeConversion.DATETIME_MS.name,
        **{name: value for name, value in options.items() if value is not None},
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].partition(", Timeout:")[0][:300] if str(error) else type(error).__name__

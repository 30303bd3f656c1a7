"""One server for all tests of this folder, and a fresh collection of it for each test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from aimass.core.deps import Deps, Runtime
from aimass.core.settings import parse_settings
from aimass.core.sources.mongodb.source import MongoDbSettings, MongoDbSource
from tests.services.mongodb import MongoDb, mongodb_server

_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Table:
    """A collection, and how sources read it.

    Attributes
    ----------
    server : MongoDb
        Where it is.
    client : MongoClient
        An administrator.
    local : Path
        Where datasets are written.
    name : str
        Its name.
    """

    server: MongoDb
    client: MongoClient[dict[str, Any]]
    local: Path
    name: str = field(default_factory=lambda: f"table_{next(_NUMBERS)}")

    def insert(self, *documents: dict[str, Any]) -> None:
        """Write documents."""
        self.collection.insert_many(list(documents))

    @property
    def collection(self) -> Any:
        """The open collection."""
        return self.client[self.server.database][self.name]

    def runtime(self, **connection: Any) -> Runtime:
        """Return where a stage runs; `connection` replaces fields of the connection."""
        document: Any = self.server.connection(**{"timeout_s": 5, **connection})
        return Runtime(store=str(self.local / "store"), connections={"aimass_mongodb": document})

    def document(self, **options: Any) -> dict[str, Any]:
        """Return the source's document."""
        return {"type": "mongodb", "collection": self.name, **options}

    def source(self, connection: dict[str, Any] | None = None, **options: Any) -> MongoDbSource:
        """Return the source."""
        settings = parse_settings(MongoDbSettings, {"collection": self.name, **options}, where="test")
        return MongoDbSource(settings, Deps.from_runtime(self.runtime(**connection or {})))

    def rows(self, **options: Any) -> list[dict[str, Any]]:
        """Return what is read."""
        source = self.source(**options)
        return [row for batch in source.read(source.position()) for row in batch.rows.to_pylist()]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDb]:
    with mongodb_server(tmp_path_factory.mktemp("mongodb")) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: MongoDb) -> Iterator[MongoClient[dict[str, Any]]]:
    with server.admin() as opened:
        yield opened


@pytest.fixture
def table(server: MongoDb, client: MongoClient[dict[str, Any]], tmp_path: Path) -> Table:
    return Table(server, client, tmp_path)


@pytest.fixture
def filled(table: Table) -> Callable[[int], Table]:
    """Return the collection with so many plain documents."""

    def fill(count: int) -> Table:
        table.insert(*({"n": i, "in": {"text": f"雪 {i}"}} for i in range(count)))
        return table

    return fill

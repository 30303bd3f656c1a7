from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aimass.core.backends import backend_of
from aimass.core.deps import Deps, Runtime
from aimass.core.sources import SOURCES
from aimass.core.sources.mysql.source import MySqlSource
from tests.services.mariadb import MariaDb, mariadb_server

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    with mariadb_server(tmp_path_factory.mktemp("mariadb")) as running:
        yield running


@pytest.fixture
def table(server: MariaDb) -> str:
    """Return the name of a table that is not there yet."""
    return f"table_{next(_NUMBERS)}"


Open = Callable[..., MySqlSource]


@pytest.fixture
def open_source(server: MariaDb, tmp_path: Path) -> Open:
    """Return what opens a source: settings by name, `connection` for other ways to the server."""

    def opened(*, connection: dict[str, Any] | None = None, **settings: Any) -> MySqlSource:
        runtime = Runtime(
            store=str(tmp_path / "store"), connections={"aimass_mysql": connection or server.connection()}
        )
        backend, parsed = backend_of(SOURCES, {"type": "mysql", **settings})
        source = backend(parsed, Deps.from_runtime(runtime))
        assert isinstance(source, MySqlSource)
        return source

    return opened

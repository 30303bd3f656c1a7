"""One file system for all tests of this folder, and a fresh folder of it for each test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.settings import parse_settings
from aimass.core.sources.hdfs.source import HdfsSettings, HdfsSource
from tests.services.hadoop import Hadoop, hdfs_server

PROTOCOLS = ("rpc", "webhdfs")


@dataclass(frozen=True)
class Folder:
    """A folder in HDFS, and how sources read it.

    Attributes
    ----------
    path : str
        Where it is.
    server : Hadoop
        The file system.
    protocol : str
        How it is spoken to.
    local : Path
        Where datasets are written.
    """

    path: str
    server: Hadoop
    protocol: str
    local: Path

    def put(self, files: dict[str, bytes]) -> None:
        """Write files."""
        for name, content in files.items():
            self.server.put(f"{self.path}/{name}", content)

    def deps(self, **connection: Any) -> Deps:
        """Return a stage's surroundings; `connection` replaces fields of the connection."""
        document: Any = {**self.server.connection(self.protocol), "timeout_s": 30, **connection}
        return Deps.from_runtime(Runtime(store=str(self.local / "store"), connections={"aimass_hdfs": document}))

    def source(self, pattern: str, connection: dict[str, Any] | None = None, **options: Any) -> HdfsSource:
        """Return the source of the files that `pattern` names."""
        settings = parse_settings(HdfsSettings, {"path": f"{self.path}/{pattern}", **options}, where="test")
        return HdfsSource(settings, self.deps(**connection or {}))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hadoop]:
    with hdfs_server(tmp_path_factory.mktemp("hadoop")) as running:
        yield running


@pytest.fixture
def both(server: Hadoop, tmp_path: Path) -> list[Folder]:
    """Return the same folder, seen over each protocol."""
    path = f"/tests/{uuid.uuid4().hex[:8]}"
    return [Folder(path, server, protocol, tmp_path) for protocol in PROTOCOLS]


@pytest.fixture(params=PROTOCOLS)
def folder(server: Hadoop, request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return Folder(f"/tests/{uuid.uuid4().hex[:8]}", server, request.param, tmp_path)


@pytest.fixture
def rows() -> Callable[[HdfsSource], list[dict[str, Any]]]:
    def read(source: HdfsSource) -> list[dict[str, Any]]:
        return [row for batch in source.read(source.position()) for row in batch.rows.to_pylist()]

    return read

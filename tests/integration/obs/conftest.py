"""One object store for all tests of this folder, and a fresh folder of a bucket for each test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from aimass.core.deps import Deps, Runtime
from aimass.core.settings import parse_settings
from aimass.core.sources.obs import ObsSettings, ObsSource
from tests.services.seaweedfs import SeaweedFs, seaweedfs

Files = dict[str, bytes]


@dataclass(frozen=True)
class Bucket:
    """A folder of a bucket, and how sources read it.

    Attributes
    ----------
    name : str
        The bucket.
    prefix : str
        The folder, with a slash at its end.
    store : S3Store
        The bucket, for its owner.
    server : SeaweedFs
        Where it is.
    folder : Path
        Where datasets are written.
    """

    name: str
    prefix: str
    store: S3Store
    server: SeaweedFs
    folder: Path

    def put(self, files: Files) -> None:
        """Write objects."""
        for key, data in files.items():
            obstore.put(self.store, self.prefix + key, data)

    def deps(self, connection: dict[str, Any] | None = None) -> Deps:
        """Return a stage's surroundings with that connection; by default path style, without TLS."""
        document: Any = connection or self.server.connection()
        return Deps.from_runtime(Runtime(store=str(self.folder / "store"), connections={"aimass_obs": document}))

    def source(self, pattern: str, connection: dict[str, Any] | None = None, **options: Any) -> ObsSource:
        """Return the source of the objects that `pattern` names."""
        document = {"uri": f"obs://{self.name}/{self.prefix}{pattern}", **options}
        return ObsSource(parse_settings(ObsSettings, document, where="test"), self.deps(connection))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFs]:
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as running:
        yield running


@pytest.fixture(scope="session")
def name(server: SeaweedFs) -> str:
    name = f"aimass-{uuid.uuid4().hex[:12]}"
    server.bucket(name)
    return name


@pytest.fixture
def bucket(server: SeaweedFs, name: str, tmp_path: Path) -> Bucket:
    return Bucket(name, f"{uuid.uuid4().hex[:8]}/", server.bucket(name), server, tmp_path)


@pytest.fixture
def rows() -> Callable[[ObsSource], list[dict[str, Any]]]:
    def read(source: ObsSource) -> list[dict[str, Any]]:
        return [row for batch in source.read(source.position()) for row in batch.rows.to_pylist()]

    return read

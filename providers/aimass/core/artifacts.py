"""Read the files of published artifacts: reports, fitted features, models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aimass.core.deps import Deps
from aimass.core.errors import CorruptDataError, NotFoundError
from aimass.core.manifest import File, Manifest, load_manifest


class Artifact:
    """A published artifact, open for reading.

    Parameters
    ----------
    uri : str
        Folder of the artifact.
    deps : Deps
        Whose store reads it.
    """

    def __init__(self, uri: str, deps: Deps) -> None:
        self.uri = uri.rstrip("/")
        self.manifest: Manifest = load_manifest(deps.store, self.uri)
        self._deps = deps

    def path(self, name: str) -> Path:
        """Return a local path of the file `name`, its size checked against the manifest.

        Raises
        ------
        NotFoundError
            The artifact has no such file.
        CorruptDataError
            The file is not the one that was published.
        """
        file = self._file(name)
        path = self._deps.store.localize(f"{self.uri}/{name}", sha256=file.sha256)
        if path.stat().st_size != file.bytes:
            raise CorruptDataError(
                f"{self.uri}/{name} has {path.stat().st_size:,} bytes",
                expected=f"{file.bytes:,} bytes, as the manifest says",
                uri=self.uri,
            )
        return path

    def read_bytes(self, name: str) -> bytes:
        """Return the content of the file `name`."""
        return self.path(name).read_bytes()

    def read_json(self, name: str) -> Any:
        """Return the JSON document `name`."""
        self._file(name)
        return self._deps.store.read_json(f"{self.uri}/{name}")

    def names(self) -> list[str]:
        """Return the names of the files."""
        return [file.name for file in self.manifest.files]

    def _file(self, name: str) -> File:
        for file in self.manifest.files:
            if file.name == name:
                return file
        raise NotFoundError(f"The artifact {self.uri} has no file {name!r}", known=self.names(), uri=self.uri)

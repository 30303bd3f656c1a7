"""A folder of any file system that the store opens."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.settings import Location
from aimass.core.storage import as_uri


class FilesDestinationSettings(settings.Settings):
    """Which folder."""

    uri: Location = Field(description="Path or URI of the folder that the files are written to.")


class FilesDestination:
    """A folder by path or URI; see `Destination`."""

    Settings: ClassVar[type[settings.Settings]] = FilesDestinationSettings

    def __init__(self, settings: FilesDestinationSettings, deps: Deps) -> None:
        self._store = deps.store
        self.uri = as_uri(settings.uri).rstrip("/")

    def write(self, name: str, path: Path) -> None:
        """Write the local file at `path` as `name`."""
        target = f"{self.uri}/{name}"
        staged = self._store.staging_file(target)
        try:
            shutil.copyfile(path, staged)
            self._store.upload(staged, target)
        finally:
            staged.unlink(missing_ok=True)

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file; None where there is none."""
        target = f"{self.uri}/{name}"
        return self._store.read_bytes(target) if self._store.exists(target) else None

    def delete(self, name: str) -> None:
        """Delete a file."""
        self._store.delete(f"{self.uri}/{name}")

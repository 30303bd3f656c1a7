"""Files as a source: delimited text, JSON lines, Parquet and ORC, on any file system."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from aimass.core import settings
from aimass.core.settings import Location
from aimass.core.sources.file_access import FileAccess
from aimass.core.sources.file_rows import FileRowsSettings, FileRowsSource
from aimass.core.sources.listing import StoreFiles


class _Place(settings.Settings):
    uri: Location = Field(
        description="Path or URI of a file, or a pattern with * and **; package://<distribution>/<file> names a file "
        "that an installed Python distribution ships."
    )


class FilesSettings(FileRowsSettings, _Place):
    """Which files, and how they are spelled."""


class FilesSource(FileRowsSource):
    """The rows of files that the store's file systems open."""

    Settings: ClassVar[type[settings.Settings]] = FilesSettings

    @property
    def pattern(self) -> str:
        """The file, or the pattern."""
        return str(self.settings.uri)

    def open_access(self) -> FileAccess:
        """Return the files by URI."""
        return StoreFiles(self._deps)

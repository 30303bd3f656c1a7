"""The rows of files in HDFS."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from aimass.core import settings
from aimass.core.settings import ConnectionId
from aimass.core.sources.file_access import FileAccess
from aimass.core.sources.file_rows import FileRowsSettings, FileRowsSource
from aimass.core.sources.hdfs.connection import HdfsConnection
from aimass.core.sources.hdfs.files import HdfsFiles


class _Place(settings.Settings):
    conn_id: ConnectionId = Field(default="aimass_hdfs", description="The connection to HDFS.")
    path: str = Field(
        description="Path of a file, or a pattern with * and **, from the root: /warehouse/flights/**/*.parquet."
    )
    on_open_file: Literal["skip", "error"] = Field(
        default="skip",
        description="What to do with a file that is still being written: leave it for a later run, or fail.",
    )

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        if not value.startswith("/") or value.endswith("/"):
            raise ValueError("a path from the root to files is wanted, such as /data/*.parquet")
        if any("**" in part and part != "**" for part in value.split("/")):
            raise ValueError("** stands alone between slashes, as in /data/**/*.parquet")
        return value


class HdfsSettings(FileRowsSettings, _Place):
    """Which files, and how they are spelled."""


class HdfsSource(FileRowsSource):
    """The rows of one or more files in HDFS."""

    Settings: ClassVar[type[settings.Settings]] = HdfsSettings

    @property
    def pattern(self) -> str:
        """The URI of the file, or the pattern."""
        return f"{self._root}{self.settings.path}"

    def open_access(self) -> FileAccess:
        """Return the files by path."""
        fails_on_open = self.settings.on_open_file == "error"
        return HdfsFiles(self._connection.open(), self._root, fails_on_open=fails_on_open)

    @property
    def _connection(self) -> HdfsConnection:
        return self._deps.connection(self.settings.conn_id, HdfsConnection)

    @property
    def _root(self) -> str:
        # Neither port nor protocol: a chain of positions goes on when they change.
        return f"hdfs://{self._connection.host}"

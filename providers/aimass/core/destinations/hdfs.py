"""A folder in HDFS."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.settings import ConnectionId
from aimass.core.sources.hdfs.client import HdfsClient
from aimass.core.sources.hdfs.connection import HdfsConnection

BLOCK_BYTES = 8 << 20


class HdfsDestinationSettings(settings.Settings):
    """Which folder."""

    conn_id: ConnectionId = Field(default="aimass_hdfs", description="The connection to HDFS.")
    path: str = Field(description="Path of the folder that the files are written to, from the root: /export/flights.")

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError("a path from the root is wanted, such as /export/flights")
        return value.rstrip("/")


class HdfsDestination:
    """A folder by path; see `Destination`."""

    Settings: ClassVar[type[settings.Settings]] = HdfsDestinationSettings

    def __init__(self, settings: HdfsDestinationSettings, deps: Deps) -> None:
        self._path = settings.path
        self._connection = deps.connection(settings.conn_id, HdfsConnection)
        self.uri = f"hdfs://{self._connection.host}{self._path}"

    @cached_property
    def _client(self) -> HdfsClient:
        return self._connection.open()

    def write(self, name: str, path: Path) -> None:
        """Write the local file at `path` under a hidden name, and rename it when it is whole."""
        folder, _, file = f"{self._path}/{name}".rpartition("/")
        hidden = f"{folder}/.{file}-{uuid.uuid4().hex}"
        with path.open("rb") as reader, self._client.create(hidden) as writer:
            shutil.copyfileobj(reader, writer, BLOCK_BYTES)
        self._client.rename(hidden, f"{folder}/{file}")

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file; None where there is none."""
        path = f"{self._path}/{name}"
        try:
            return self._client.fetch(path, self._client.status(path).size)
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        """Delete a file."""
        with contextlib.suppress(FileNotFoundError):
            self._client.delete(f"{self._path}/{name}")

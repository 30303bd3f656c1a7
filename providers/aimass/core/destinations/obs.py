"""A folder of a bucket of OBS or of any store that speaks S3."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.errors import MissingDependencyError, NotFoundError
from aimass.core.object_storage.connection import ObsConnection, split_uri
from aimass.core.settings import ConnectionId


class ObsDestinationSettings(settings.Settings):
    """Which folder."""

    conn_id: ConnectionId = Field(default="aimass_obs", description="Connection of type aimass_obs, or Amazon's aws.")
    uri: str = Field(description="obs://bucket/folder that the objects are written to; s3:// means the same.")

    @field_validator("uri")
    @classmethod
    def _names_a_folder(cls, value: str) -> str:
        split_uri(value)
        return value.rstrip("/")


class ObsDestination:
    """A folder of a bucket; see `Destination`. An object is visible when all of it has arrived."""

    Settings: ClassVar[type[settings.Settings]] = ObsDestinationSettings

    def __init__(self, settings: ObsDestinationSettings, deps: Deps) -> None:
        self.uri = settings.uri
        bucket, self._folder = split_uri(settings.uri)
        try:
            import obstore

            from aimass.core.object_storage import client, faults
        except ModuleNotFoundError as error:
            raise MissingDependencyError(error.name or "obstore", extra="obs") from error
        self._bucket = client.open_bucket(deps.connection(settings.conn_id, ObsConnection), bucket)
        self._objects = obstore
        self._asking = faults.asking

    def write(self, name: str, path: Path) -> None:
        """Write the local file at `path` as `name`, in parts where it is large."""
        with self._asking(f"writing {self.uri}/{name}"):
            self._objects.put(self._bucket, self._key(name), path)

    def read(self, name: str) -> bytes | None:
        """Return the content of a small object; None where there is none."""
        try:
            with self._asking(f"reading {self.uri}/{name}"):
                return bytes(self._objects.get(self._bucket, self._key(name)).bytes())
        except NotFoundError as error:
            if error.details.get("code") == "NoSuchBucket":
                raise
            return None

    def delete(self, name: str) -> None:
        """Delete an object."""
        with self._asking(f"deleting {self.uri}/{name}"):
            self._objects.delete(self._bucket, self._key(name))

    def _key(self, name: str) -> str:
        return f"{self._folder}/{name}" if self._folder else name

"""Objects as files: Huawei Cloud's OBS, and any other store that speaks S3."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import IO, TYPE_CHECKING, ClassVar, NoReturn, cast

from pydantic import Field, field_validator

from aimass.core import settings
from aimass.core.errors import MissingDependencyError, NotFoundError
from aimass.core.object_storage.connection import ObsConnection, split_uri
from aimass.core.settings import ConnectionId
from aimass.core.sources.file_access import (
    FileAccess,
    SourceFile,
    changed_file,
    fixed_folder,
    fixed_prefix,
    found_files,
    has_wildcard,
    is_a_folder,
    matcher,
    missing_file,
)
from aimass.core.sources.file_rows import FileRowsSettings, FileRowsSource
from aimass.core.sources.read_ahead import ReadAhead, fetched_ahead

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import S3Store

    from aimass.core.object_storage.listing import Listed

CONCURRENCY = 24


class _Place(settings.Settings):
    conn_id: ConnectionId = Field(default="aimass_obs", description="Connection of type aimass_obs, or Amazon's aws.")
    uri: str = Field(
        description="obs://bucket/key of an object, or a pattern with * and **; s3:// means the same. The connection "
        "says which store is asked."
    )

    @field_validator("uri")
    @classmethod
    def _names_a_bucket(cls, value: str) -> str:
        if not split_uri(value)[1]:
            raise ValueError("not obs://<bucket>/<key or pattern>")
        return value


class ObsSettings(FileRowsSettings, _Place):
    """Which objects, and how they are spelled."""


class ObsSource(FileRowsSource):
    """The rows of objects."""

    Settings: ClassVar[type[settings.Settings]] = ObsSettings

    @property
    def pattern(self) -> str:
        """The object, or the pattern."""
        return str(self.settings.uri)

    def open_access(self) -> FileAccess:
        """Return the objects behind the connection."""
        connection = self._deps.connection(self.settings.conn_id, ObsConnection)
        try:
            return ObsFiles(connection)
        except ModuleNotFoundError as error:
            raise MissingDependencyError(error.name or "obstore", extra="obs") from error


class ObsFiles:
    """Objects as files; see `FileAccess`. Every read names the etag of the listing, so other bytes never come.

    Parameters
    ----------
    connection : ObsConnection
        The store, and who asks.
    """

    def __init__(self, connection: ObsConnection) -> None:
        import obstore

        from aimass.core.object_storage import client, faults, listing

        self._connection = connection
        self._get = obstore.get
        self._listing = listing
        self._asking = faults.asking
        self._bucket: Callable[[str], S3Store] = cache(lambda bucket: client.open_bucket(connection, bucket))

    def list(self, pattern: str) -> Sequence[SourceFile]:
        """Return the objects that `pattern` names."""
        base = fixed_folder(pattern)
        listed = self._listing.list_objects(self._connection, split_uri(pattern)[0], fixed_prefix(_key(pattern)))
        if not has_wildcard(pattern):
            # Of all keys that begin so, the key itself comes first.
            found = [file for file in self._files(islice(listed, 1), base) if file.uri == pattern]
            return found_files(pattern, found, lambda: ()) if found else self._refuse(pattern)
        matches = matcher(pattern)
        found = [file for file in self._files(listed, base) if matches(file.uri)]
        return found_files(pattern, found, lambda: self._names(base))

    def open(self, file: SourceFile) -> IO[bytes]:
        """Open `file`: one request where it is small, ranges ahead of the reader where it is not."""
        return cast("IO[bytes]", ReadAhead(lambda start, stop: self._range(file, start, stop), file.bytes))

    def check_unchanged(self, file: SourceFile) -> None:
        """Do nothing: every read names the etag."""

    def fetch_many(self, files: Sequence[SourceFile]) -> Generator[tuple[SourceFile, bytes], None, None]:
        """Yield the objects with their bytes, a few dozen under way at any time."""
        return fetched_ahead(
            lambda file: self._range(file, 0, file.bytes), files, threads=CONCURRENCY, ahead=2 * CONCURRENCY - 1
        )

    def _range(self, file: SourceFile, start: int, stop: int) -> bytes:
        bucket, key = split_uri(file.uri)[0], _key(file.uri)
        options: GetOptions = {"if_match": f'"{file.version}"'}
        if stop - start < file.bytes:
            options["range"] = (start, stop)
        try:
            with self._asking(f"reading {file.uri}"):
                return bytes(self._get(self._bucket(bucket), key, options=options).bytes()) if file.bytes else b""
        except NotFoundError as error:
            raise changed_file(file) from error

    def _files(self, listed: Iterable[Listed], base: str) -> Iterator[SourceFile]:
        scheme, _, rest = base.partition("://")
        root = f"{scheme}://{rest.partition('/')[0]}"
        for entry in listed:
            if not entry.key.endswith("/"):
                uri = f"{root}/{entry.key}"
                yield SourceFile(uri=uri, name=uri[len(base) + 1 :], bytes=entry.size, version=entry.etag)

    def _refuse(self, uri: str) -> NoReturn:
        known = self._names(uri.rpartition("/")[0])
        if f"{uri.rpartition('/')[2]}/" in known:
            raise is_a_folder(uri)
        raise missing_file(uri, [name for name in known if not name.endswith("/")])

    def _names(self, folder: str) -> Sequence[str]:
        """Return the names right below `folder`, those of folders with a slash."""
        key = _key(folder)
        below = self._listing.names_in(self._connection, split_uri(folder)[0], f"{key}/" if key else "")
        return sorted({name.partition("/")[0] + ("/" if "/" in name else "") for name in below})


def _key(uri: str) -> str:
    return uri.partition("://")[2].partition("/")[2]

"""The files of a file system as a source of rows wants them."""

from __future__ import annotations

import fnmatch
import io
from collections.abc import Generator, Iterator, Sequence
from typing import IO

from aimass.core.errors import DataError, NotFoundError, nearest_name
from aimass.core.sources.file_access import (
    SMALL_BYTES,
    SourceFile,
    changed_file,
    fixed_folder,
    found_files,
    has_wildcard,
    is_a_folder,
    matcher,
)
from aimass.core.sources.hdfs.client import Entry, HdfsClient
from aimass.core.sources.read_ahead import fetched_ahead

HIDDEN_PREFIXES = ("_", ".")
UNFINISHED_SUFFIXES = ("._COPYING_", ".tmp", ".inprogress")
FETCHES = 8


class HdfsFiles:
    """Files by path; see `FileAccess` and `ManyFiles`.

    Parameters
    ----------
    client : HdfsClient
        What asks the server.
    root : str
        URI of the file system's root, without a slash at its end.
    fails_on_open : bool
        Whether a file that is being written is an error; otherwise it counts as not there yet.
    """

    def __init__(self, client: HdfsClient, root: str, *, fails_on_open: bool = False) -> None:
        self._client = client
        self._root = root
        self._fails_on_open = fails_on_open

    def list(self, pattern: str) -> Sequence[SourceFile]:
        """Return the files that `pattern` names: one call for each folder that may hold some."""
        path = pattern.removeprefix(self._root)
        base = fixed_folder(path) if has_wildcard(path) else path.rpartition("/")[0]
        if not has_wildcard(path):
            entry = self._existing(path)
            if entry.is_folder:
                raise is_a_folder(pattern)
            return found_files(pattern, [self._file(entry, base)], lambda: ())
        matches = matcher(path)
        self._existing(base or "/")
        entries = [entry for entry in self._below(base, path[len(base) + 1 :].split("/")) if matches(entry.path)]
        return found_files(pattern, (self._file(entry, base) for entry in entries), lambda: self._names(base))

    def open(self, file: SourceFile) -> IO[bytes]:
        """Open `file` for reading."""
        try:
            return self._client.open(self._path(file), file.bytes) if file.bytes else io.BytesIO()
        except FileNotFoundError:
            raise changed_file(file) from None

    def check_unchanged(self, file: SourceFile) -> None:
        """Raise DataError when `file` is no longer what was listed; `fetch_many` has looked at small ones itself."""
        if file.bytes > SMALL_BYTES:
            self._compare(file)

    def fetch_many(self, files: Sequence[SourceFile]) -> Generator[tuple[SourceFile, bytes], None, None]:
        """Return each of `files` with its content, the next ones under way."""
        return fetched_ahead(self._fetch, files, threads=FETCHES, ahead=FETCHES)

    def _fetch(self, file: SourceFile) -> bytes:
        if not file.bytes:
            return b""
        self._compare(file)
        try:
            content = self._client.fetch(self._path(file), file.bytes)
        except FileNotFoundError:
            raise changed_file(file) from None
        self._compare(file)
        return content

    def _compare(self, file: SourceFile) -> None:
        try:
            now = self._client.status(self._path(file))
        except FileNotFoundError:
            raise changed_file(file) from None
        if (now.size, str(now.changed_ms)) != (file.bytes, file.version):
            raise changed_file(file)

    def _below(self, folder: str, parts: Sequence[str]) -> Iterator[Entry]:
        """Yield the files below `folder` whose folders fit the first of `parts`; a ``**`` fits any number of them."""
        for entry in self._client.children(folder or "/"):
            if not entry.is_folder:
                if not entry.name.endswith(UNFINISHED_SUFFIXES):
                    yield entry
            elif parts[0] == "**" and not entry.name.startswith(HIDDEN_PREFIXES):
                yield from self._below(entry.path, parts)
            elif len(parts) > 1 and "**" not in parts[0] and fnmatch.fnmatchcase(entry.name, parts[0]):
                yield from self._below(entry.path, parts[1:])

    def _file(self, entry: Entry, base: str) -> SourceFile:
        is_open = entry.is_perhaps_open and self._client.is_open(entry)
        if is_open and self._fails_on_open:
            raise DataError(
                f"{self._root}{entry.path} is still being written",
                expected="a closed file",
                hint="Wait for its writer, or set on_open_file to skip to leave it for a later run",
                uri=self._root + entry.path,
            )
        return SourceFile(
            uri=self._root + entry.path,
            name=entry.path[len(base) + 1 :],
            bytes=0 if is_open else entry.size,
            version=str(entry.changed_ms),
        )

    def _path(self, file: SourceFile) -> str:
        return file.uri.removeprefix(self._root)

    def _existing(self, path: str) -> Entry:
        try:
            return self._client.status(path)
        except FileNotFoundError:
            raise self._missing(path) from None

    def _missing(self, path: str) -> NotFoundError:
        """Return the error for a path that is not there: what lies in the deepest of its folders that exists."""
        folder, _, name = path.rstrip("/").rpartition("/")
        while True:
            try:
                names = self._names(folder)
                break
            except FileNotFoundError:
                folder, _, name = folder.rpartition("/")
        nearest = nearest_name(name, names)
        return NotFoundError(
            f"{self._root}{path} does not exist: there is no {name!r} in {folder or '/'}",
            known=names,
            hint=f"Did you mean {nearest!r}?" if nearest else "Check the path and its spelling",
            uri=self._root + path,
            nearest=nearest,
        )

    def _names(self, folder: str) -> Sequence[str]:
        return [entry.name for entry in self._client.children(folder or "/")]

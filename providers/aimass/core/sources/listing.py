"""Files of the store and of every other file system that it opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from aimass.core.deps import Deps
from aimass.core.errors import from_os_error
from aimass.core.sources.file_access import (
    SourceFile,
    changed_file,
    fixed_folder,
    found_files,
    has_wildcard,
    is_a_folder,
    matcher,
    missing_file,
)
from aimass.core.storage import as_uri

VERSION_KEYS = ("etag", "ETag", "mtime", "LastModified", "last_modified", "created")


class StoreFiles:
    """Files by URI; see `FileAccess`.

    Parameters
    ----------
    deps : Deps
        Whose store opens them.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def list(self, pattern: str) -> Sequence[SourceFile]:
        """Return the files that `pattern` names."""
        uri = as_uri(pattern)
        if not has_wildcard(uri):
            return found_files(pattern, [self._describe(uri, uri.rpartition("/")[2])], lambda: ())
        base = fixed_folder(uri)
        matches = matcher(uri)
        found = [file for file in self._below(uri, base) if matches(file.uri)]
        return found_files(pattern, found, lambda: self._names(base))

    def open(self, file: SourceFile) -> IO[bytes]:
        """Open `file` for reading."""
        return self._deps.store.open(file.uri)

    def check_unchanged(self, file: SourceFile) -> None:
        """Raise DataError when `file` is no longer what was listed."""
        if self._describe(file.uri, file.name) != file:
            raise changed_file(file)

    def _below(self, pattern: str, base: str) -> Sequence[SourceFile]:
        folder = self._deps.store.path(f"{base}/")
        root = folder.path.rstrip("/")
        try:
            found = folder.fs.glob(root + pattern[len(base) :], detail=True)
        except OSError as error:
            raise from_os_error(error, doing=f"listing {pattern}") from error
        names = {str(path)[len(root) + 1 :]: info for path, info in found.items() if info.get("type") != "directory"}
        return [_as_file(f"{base}/{name}", name, info) for name, info in names.items()]

    def _describe(self, uri: str, name: str) -> SourceFile:
        path = self._deps.store.path(uri)
        try:
            info = path.fs.info(path.path)
        except FileNotFoundError:
            raise missing_file(uri, self._names(uri.rpartition("/")[0])) from None
        except OSError as error:
            raise from_os_error(error, doing=f"looking for {uri}") from error
        if info.get("type") == "directory":
            raise is_a_folder(uri)
        return _as_file(uri, name, info)

    def _names(self, folder: str) -> Sequence[str]:
        return [name for name in self._deps.store.list(folder) if not name.startswith(".")]


def _as_file(uri: str, name: str, info: Mapping[str, Any]) -> SourceFile:
    version = next((str(info[key]) for key in VERSION_KEYS if info.get(key)), "")
    return SourceFile(uri=uri, name=name, bytes=int(info["size"]), version=version)

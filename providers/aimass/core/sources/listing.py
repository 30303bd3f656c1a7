"""Find a source's files and note how they stand: size, and etag or time of last change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from aimass.core.deps import Deps
from aimass.core.errors import DataError, EmptyDataError, NotFoundError, missing_column, nearest_name
from aimass.core.storage import as_uri

WILDCARDS = "*?["
VERSION_KEYS = ("etag", "ETag", "mtime", "LastModified", "last_modified", "created")


class SourceFile(BaseModel):
    """A file as it stood when the run began."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str = Field(description="Where it is.")
    name: str = Field(description="Its path below the folder that all files of the source share.")
    bytes: int = Field(description="Its size in bytes.")
    version: str = Field(description="Its etag, or the time of its last change.")


def list_files(pattern: str, deps: Deps) -> list[SourceFile]:
    """Return the files that `pattern` names, sorted by URI.

    Raises
    ------
    NotFoundError
        There is no such file (the nearest existing name is told), or nothing matches the pattern.
    EmptyDataError
        Every file has 0 bytes.
    """
    base = _fixed_folder(as_uri(pattern))
    uris = deps.store.glob(pattern)
    if not uris:
        raise NotFoundError(
            f"No file matches {pattern}", known=_names(base, deps), hint="Check the pattern and the folder", uri=pattern
        )
    files = [_describe(uri, uri[len(base) + 1 :], deps) for uri in uris]
    if not any(file.bytes for file in files):
        raise EmptyDataError(f"{pattern} is empty", expected="at least one row", uri=pattern)
    return files


def check_unchanged(file: SourceFile, deps: Deps) -> None:
    """Raise DataError when `file` is no longer what the run began with."""
    now = _describe(file.uri, file.name, deps)
    if now != file:
        raise DataError(
            f"{file.uri} changed while the run was reading it",
            expected=f"{file.bytes:,} bytes, version {file.version}",
            hint="Start a new run: it reads the file as it is now",
            uri=file.uri,
        )


def select_columns(schema: pa.Schema, columns: Sequence[str] | None, file: SourceFile) -> pa.Schema:
    """Return the fields of `columns`, in that order; all where None.

    Raises
    ------
    SchemaMismatchError
        The file has no such column; the nearest name is told.
    """
    for name in columns or ():
        if name not in schema.names:
            raise missing_column(name, schema.names, where=f"the file {file.uri}")
    return schema if columns is None else pa.schema([schema.field(name) for name in columns])


def _describe(uri: str, name: str, deps: Deps) -> SourceFile:
    path = deps.store.path(uri)
    if not deps.store.exists(uri):
        raise _missing(uri, deps)
    info: dict[str, Any] = path.fs.info(path.path)
    if info.get("type") == "directory":
        raise NotFoundError(
            f"{uri} is a folder", expected="a file or a pattern", hint=f"Use {uri.rstrip('/')}/*", uri=uri
        )
    version = next((str(info[key]) for key in VERSION_KEYS if info.get(key)), "")
    return SourceFile(uri=uri, name=name, bytes=int(info["size"]), version=version)


def _missing(uri: str, deps: Deps) -> NotFoundError:
    folder, _, name = uri.rpartition("/")
    known = _names(folder, deps)
    nearest = nearest_name(name, known)
    hint = f"Did you mean {nearest!r}?" if nearest else "Check the path and its spelling"
    return NotFoundError(f"The file {uri} does not exist", known=known or None, hint=hint, uri=uri, nearest=nearest)


def _names(folder: str, deps: Deps) -> list[str]:
    return [name for name in deps.store.list(folder) if not name.startswith(".")]


def _fixed_folder(uri: str) -> str:
    fixed = uri
    for mark in WILDCARDS:
        fixed = fixed.split(mark)[0]
    return fixed.rpartition("/")[0]

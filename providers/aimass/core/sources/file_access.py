"""The files of one place, whatever it is: how a source of files lists and opens them."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import IO, Protocol, runtime_checkable

import pyarrow as pa
from fsspec.utils import glob_translate
from pydantic import BaseModel, ConfigDict, Field

from aimass.core.errors import DataError, EmptyDataError, NotFoundError, missing_column, nearest_name

WILDCARDS = "*?["
SMALL_BYTES = 4 << 20


class SourceFile(BaseModel):
    """A file as it stood when the run began."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str = Field(description="Where it is.")
    name: str = Field(description="Its path below the folder that all files of the source share.")
    bytes: int = Field(description="Its size in bytes.")
    version: str = Field(description="Its etag, or the time of its last change.")


class FileAccess(Protocol):
    """Files somewhere. One listing tells all about them: where a call costs a round trip, none is made per file."""

    def list(self, pattern: str) -> Sequence[SourceFile]:
        """Return the files that `pattern` (a URI, perhaps with wildcards) names; `found_files` gives them their order.

        Raises
        ------
        NotFoundError
            There is no such file, or nothing matches; the nearest existing name is told.
        EmptyDataError
            Every file has 0 bytes.
        NotAllowedError, UnreachableError
            The server says no, or nothing.
        """

    def open(self, file: SourceFile) -> IO[bytes]:
        """Open `file` for reading: seekable, and reading ahead where that saves round trips."""

    def check_unchanged(self, file: SourceFile) -> None:
        """Raise `changed_file` when `file` is no longer what was listed; called before and after it is read.

        Does nothing where `open` and `fetch_many` give that version or fail.
        """


@runtime_checkable
class ManyFiles(Protocol):
    """What an access offers besides, where many small files are faster fetched at once than one by one."""

    def fetch_many(self, files: Sequence[SourceFile]) -> Generator[tuple[SourceFile, bytes], None, None]:
        """Yield the content of each of `files`, in their order, while the next ones are on their way.

        At most a few dozen are held. Closing the iterator ends the transfers.
        """


Opener = Callable[[SourceFile], IO[bytes]]
"""Opens a file as it is stored."""


def fixed_prefix(pattern: str) -> str:
    """Return what stands before the first wildcard of `pattern`."""
    for mark in WILDCARDS:
        pattern = pattern.split(mark)[0]
    return pattern


def fixed_folder(pattern: str) -> str:
    """Return the folder of `pattern` above its first wildcard, without a slash at its end."""
    return fixed_prefix(pattern).rpartition("/")[0]


def has_wildcard(pattern: str) -> bool:
    """Return whether `pattern` may name several files."""
    return any(mark in pattern for mark in WILDCARDS)


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a path matches `pattern`: ``*`` and ``?`` stay within a folder, ``**`` does not.

    As everywhere around Hadoop, names that begin with ``_`` or ``.`` (``_SUCCESS``, unfinished copies) are matched
    only by a pattern whose last part begins so, too.
    """
    matches = re.compile(glob_translate(pattern)).match
    wants_hidden = pattern.rpartition("/")[2][:1] in ("_", ".")
    return lambda path: matches(path) is not None and (wants_hidden or path.rpartition("/")[2][:1] not in ("_", "."))


def found_files(pattern: str, files: Iterable[SourceFile], known: Callable[[], Iterable[str]]) -> list[SourceFile]:
    """Return what a listing for `pattern` found, sorted by URI; `known` names what there is where it found nothing.

    Raises
    ------
    NotFoundError, EmptyDataError
        As `FileAccess.list` says.
    """
    found = sorted(files, key=lambda file: file.uri)
    if not found:
        raise missing_file(pattern, known())
    if not any(file.bytes for file in found):
        raise EmptyDataError(f"{pattern} is empty", expected="at least one row", uri=pattern)
    return found


def missing_file(pattern: str, known: Iterable[str]) -> NotFoundError:
    """Build the error for a file that is not there, or a pattern that nothing matches."""
    names = list(known)
    if has_wildcard(pattern):
        hint = "Check the pattern and the folder"
        return NotFoundError(f"No file matches {pattern}", known=names, hint=hint, uri=pattern)
    nearest = nearest_name(pattern.rpartition("/")[2], names)
    hint = f"Did you mean {nearest!r}?" if nearest else "Check the path and its spelling"
    return NotFoundError(
        f"The file {pattern} does not exist", known=names or None, hint=hint, uri=pattern, nearest=nearest
    )


def is_a_folder(uri: str) -> NotFoundError:
    """Build the error for a folder where a file is wanted."""
    hint = f"Use {uri.rstrip('/')}/*"
    return NotFoundError(f"{uri} is a folder", expected="a file or a pattern", hint=hint, uri=uri)


def changed_file(file: SourceFile) -> DataError:
    """Build the error for a file that is no longer what the run began with."""
    return DataError(
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

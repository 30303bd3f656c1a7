"""Open files of any file system for streaming reads, decompressed, with errors that name the file."""

from __future__ import annotations

import codecs
import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Literal, cast

import pyarrow as pa

from aimass.core.errors import CorruptDataError, DataError, from_os_error
from aimass.core.sources.file_access import Opener, SourceFile

Compression = Literal["none", "gzip", "zstd", "bz2", "zip"]

COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".zip": "zip"}
SKIP_BYTES = 8 << 20


@contextlib.contextmanager
def open_stream(
    file: SourceFile, opener: Opener, *, compression: Compression = "none", encoding: str = "utf-8", offset: int = 0
) -> Iterator[IO[bytes]]:
    """Open `file` decompressed and in UTF-8, standing at `offset` of that.

    Raises
    ------
    CorruptDataError
        The compressed bytes are damaged or cut off.
    DataError
        A zip archive does not hold exactly one file.
    """
    with reading(file), contextlib.ExitStack() as stack:
        raw = stack.enter_context(opener(file))
        stream = stack.enter_context(_decompressed(raw, file, compression))
        if codecs.lookup(encoding).name not in ("utf-8", "ascii"):
            stream = cast("IO[bytes]", _Recoded(stream, encoding))
        _skip(stream, offset)
        yield stream


@contextlib.contextmanager
def reading(file: SourceFile) -> Iterator[None]:
    """Turn what libraries raise about damaged bytes into CorruptDataError with the file's name."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeError, pa.ArrowInvalid) as error:
        raise _corrupt(file, error) from error
    except OSError as error:
        # Arrow reports damaged bytes as an OSError without an error number; so do answers that were cut short, but what
        # is broken there is the connection, and the file may be whole.
        if error.errno is None and not isinstance(error, (ConnectionError, TimeoutError)):
            raise _corrupt(file, error) from error
        raise from_os_error(error, doing=f"reading {file.uri}") from error


def _corrupt(file: SourceFile, error: Exception) -> CorruptDataError:
    return CorruptDataError(
        f"{file.uri} cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
        expected="the whole, undamaged file",
        hint="Fetch or export the file again",
        uri=file.uri,
    )


def _decompressed(
    raw: IO[bytes], file: SourceFile, compression: Compression
) -> contextlib.AbstractContextManager[IO[bytes]]:
    if compression == "none":
        return contextlib.nullcontext(raw)
    if compression == "zip":
        return _only_member(raw, file)
    return cast("IO[bytes]", pa.CompressedInputStream(pa.PythonFile(raw, "r"), compression))


def _only_member(raw: IO[bytes], file: SourceFile) -> IO[bytes]:
    archive = zipfile.ZipFile(raw)
    members = [
        info.filename for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")
    ]
    if len(members) != 1:
        raise DataError(
            f"The archive {file.uri} holds {len(members)} files", expected="exactly one", known=members, uri=file.uri
        )
    return archive.open(members[0])


class _Recoded:
    """Bytes of another encoding as UTF-8; what cannot be decoded stays as it is, so that its row is refused."""

    def __init__(self, raw: IO[bytes], encoding: str) -> None:
        self._raw = raw
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="surrogateescape")
        self._ready = b""

    def seekable(self) -> bool:
        """Return False: a place in the result is no place in the file."""
        return False

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes of UTF-8."""
        while len(self._ready) < size:
            chunk = self._raw.read(SKIP_BYTES)
            self._ready += self._decoder.decode(chunk, final=not chunk).encode("utf-8", "surrogateescape")
            if not chunk:
                break
        found, self._ready = self._ready[:size], self._ready[size:]
        return found


def _skip(stream: IO[bytes], offset: int) -> None:
    if offset and stream.seekable():
        stream.seek(offset)
        return
    while offset > 0:
        skipped = len(stream.read(min(offset, SKIP_BYTES)))
        if not skipped:
            return
        offset -= skipped

"""The rows of files, wherever the files are: the engine that the sources of files share.

A source of files is a `FileRowsSource` with settings that say where (`FileRowsSettings` says how the files are
spelled) and a `FileAccess` that lists and opens them.
"""

from __future__ import annotations

import abc
import contextlib
import io
from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import IO, TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Field

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, DataError, NotFoundError
from aimass.core.heap import keep_blocks, share_heaps
from aimass.core.settings import OUTSIDE_KEY
from aimass.core.sources.base import SourceBatch
from aimass.core.sources.casting import apply_overrides
from aimass.core.sources.columnar import ColumnarRows, OrcStripes, ParquetGroups
from aimass.core.sources.delimited import Delimited
from aimass.core.sources.file_access import SMALL_BYTES, FileAccess, ManyFiles, SourceFile
from aimass.core.sources.json_lines import JsonLines
from aimass.core.sources.read_ahead import fetched_ahead
from aimass.core.sources.seen_files import SeenFiles, as_position, files_of
from aimass.core.sources.streams import COMPRESSIONS, Compression
from aimass.core.sources.text_rows import SAMPLE_BYTES, TextRows

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["csv", "json_lines", "parquet", "orc"]

FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".json": "json_lines",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".orc": "orc",
}
NULL_VALUES = ("", "NA", "N/A", "NULL", "null", "NaN", "nan", "\\N")
COLUMNAR = ("parquet", "orc")
NAMES_TOLD = 5
GATHER_BYTES = 4 << 20
PARSERS = 2


class FileRowsSettings(settings.Settings):
    """How files are spelled, and what to do when earlier ones are no longer what they were."""

    format: Format | None = Field(default=None, description="Format of the files; by their extension when empty.")
    compression: Compression | None = Field(
        default=None, description="How the files are packed; by their extension (.gz .zst .bz2 .zip) when empty."
    )
    encoding: str = Field(default="utf-8", description="Character encoding of text files.")
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="Character between fields; a comma, in .tsv files a tab."
    )
    quote: str | None = Field(
        default='"', min_length=1, max_length=1, description="Character around fields; null where quotes mean nothing."
    )
    header: bool = Field(default=True, description="Whether the first row of delimited text names the columns.")
    null_values: tuple[str, ...] = Field(
        default=NULL_VALUES, description="Spellings of a missing value in delimited text."
    )
    columns: tuple[str, ...] | None = Field(default=None, description="Only these columns, in this order.")
    types: dict[str, str] = Field(
        default_factory=dict,
        description="Types of single columns instead of the inferred ones: string, integer, double, boolean, date, "
        "timestamp, timestamp_utc …",
    )
    sample_rows: int = Field(
        default=100_000, ge=1, description="Rows from which types are inferred (16 MiB of text at most)."
    )
    on_changed_file: Annotated[Literal["error", "read_again"], OUTSIDE_KEY] = Field(
        default="error",
        description="What an incremental run does with a file that was read before and has other bytes now: fail, or "
        "take all its rows as new ones.",
    )
    on_vanished_file: Annotated[Literal["error", "accept"], OUTSIDE_KEY] = Field(
        default="error",
        description="What an incremental run does when a file that was read before is gone: fail, or keep its rows and "
        "forget the file.",
    )


class _Piece(Protocol):
    """Some rows of a file as it spells them.

    Attributes
    ----------
    size : int
        Its bytes.
    resume : JSON-able
        Where its file goes on.
    """

    @property
    def size(self) -> int: ...

    @property
    def resume(self) -> Any: ...

    @staticmethod
    def assemble(pieces: Sequence[Any], schema: pa.Schema) -> SourceBatch:
        """Return the rows of `pieces`, all of this kind, cast at once, and those that do not fit."""


class _Rows(Protocol):
    """One family of formats."""

    def schema(self, files: Sequence[SourceFile], columns: Sequence[str] | None = None) -> pa.Schema: ...

    def pieces(self, file: SourceFile, schema: pa.Schema, at: Any = None) -> Iterator[_Piece]: ...


class FileRowsSource(abc.ABC):
    """The rows of one or more files of the same format and columns, file by file in order of their names.

    A position is ``{"folder", "files": [[name, bytes, version], …], "before"}``; ``before`` says in few bytes which
    files the positions before it held.
    """

    Settings: ClassVar[type[settings.Settings]] = FileRowsSettings
    consistent: ClassVar[bool] = True

    def __init__(self, settings: Any, deps: Deps) -> None:
        self.settings = settings
        self._deps = deps
        self._schema: pa.Schema | None = None
        self._kept: dict[SourceFile, bytes] = {}
        self._delimiters: dict[str, Delimited] = {}

    @property
    @abc.abstractmethod
    def pattern(self) -> str:
        """The URI of a file, or a pattern with wildcards."""

    @abc.abstractmethod
    def open_access(self) -> FileAccess:
        """Return what lists and opens the files; called once, before the first of them is needed."""

    @cached_property
    def files(self) -> FileAccess:
        """What lists and opens the files."""
        return self.open_access()

    def position(self, since: Any = None) -> dict[str, Any] | None:
        """Return the files with size and etag or time of last change; after `since`, those that are new."""
        if since is None:
            # A file without bytes may be one that is being written.
            found = [file for file in self.files.list(self.pattern) if file.bytes]
            self._rows(found[0])
            return as_position(found)
        before = SeenFiles.unpack(since["before"]).after(files_of(since))
        difference = before.compare(self._listed())
        if difference.gone and self.settings.on_vanished_file == "error":
            raise self._refused(difference.gone, "is gone", "on_vanished_file to accept to go on without it")
        if difference.changed and self.settings.on_changed_file == "error":
            names = [file.name for file in difference.changed]
            raise self._refused(
                names, "has other bytes now", "on_changed_file to read_again to take its rows once more"
            )
        fresh = sorted(difference.new + difference.changed, key=lambda file: file.uri)
        return as_position(fresh, before.after([], difference.gone)) if fresh else None

    def schema(self, position: Any) -> pa.Schema:
        """Return the columns and types of the files.

        Raises
        ------
        EmptyDataError
            There are no rows.
        CorruptDataError
            The bytes cannot be read.
        """
        if self._schema is None:
            files = files_of(position, "sample" if "sample" in position else "files")
            self._keep_sample(files)
            found = self._rows(files[0]).schema(files, self.settings.columns)
            self._schema = apply_overrides(found, self.settings.types)
        return self._schema

    def partitions(self, position: Any, count: int) -> list[dict[str, Any]]:
        """Cut a position into at most `count` of about the same number of bytes; types stay those of the whole."""
        files = position["files"]
        ends = list(accumulate(size for _, size, _ in files))
        shares: list[list[Any]] = [[] for _ in range(count)]
        for file, end in zip(files, ends, strict=True):
            shares[min(count - 1, max(0, end - 1) * count // max(1, ends[-1]))].append(file)
        sampled = sum(end < SAMPLE_BYTES for end in ends) + 1
        return [{**position, "files": share, "sample": files[:sampled], "before": None} for share in shares if share]

    def read(self, position: Any, resume: Any = None) -> Iterator[SourceBatch]:
        """Yield the rows in batches of about 8 MiB of text or 16 MiB of typed data, those of small files together."""
        share_heaps()
        keep_blocks()
        schema = self.schema(position)
        with (
            contextlib.closing(self._gathered(files_of(position), schema, resume)) as gathered,
            contextlib.closing(
                fetched_ahead(lambda group: _batch(group, schema), gathered, threads=PARSERS, ahead=PARSERS - 1)
            ) as batches,
        ):
            for _, batch in batches:
                yield batch

    def _gathered(
        self, files: Sequence[SourceFile], schema: pa.Schema, resume: Any
    ) -> Generator[list[tuple[int, _Piece]], None, None]:
        """Yield the pieces of `files`, small ones of the same kind together."""
        gathered: list[tuple[int, _Piece]] = []
        size = 0
        with contextlib.closing(self._pieces(files, schema, resume)) as pieces:
            for index, piece in pieces:
                if gathered and type(piece) is not type(gathered[-1][1]):
                    yield gathered
                    gathered, size = [], 0
                gathered.append((index, piece))
                size += piece.size
                if size >= GATHER_BYTES:
                    yield gathered
                    gathered, size = [], 0
            if gathered:
                yield gathered

    def _pieces(
        self, files: Sequence[SourceFile], schema: pa.Schema, resume: Any
    ) -> Generator[tuple[int, _Piece], None, None]:
        first, at = (resume["file"], resume["at"]) if resume else (0, None)
        with contextlib.closing(self._fetched(files[first:])) as fetched:
            for index, (file, content) in enumerate(fetched, first):
                for piece in self._rows(file, content).pieces(file, schema, at if index == first else None):
                    yield index, piece

    def _listed(self) -> Sequence[SourceFile]:
        try:
            return self.files.list(self.pattern)
        except NotFoundError:
            if self.settings.on_vanished_file == "accept":
                return []
            raise

    def _keep_sample(self, files: Sequence[SourceFile]) -> None:
        """Fetch at once the small files that types are guessed from; at most 20 MiB are kept for reading."""
        if not isinstance(self.files, ManyFiles) or self._kind(files[0]) in COLUMNAR:
            return
        ends = accumulate(file.bytes for file in files)
        sampled = [file for file, end in zip(files, ends, strict=True) if end - file.bytes < SAMPLE_BYTES]
        small = [file for file in sampled if file.bytes <= SMALL_BYTES]
        for file in small:
            self._deps.check_read(file.uri)
        with contextlib.closing(self.files.fetch_many(small)) as contents:
            self._kept = dict(contents)

    def _fetched(self, files: Sequence[SourceFile]) -> Generator[tuple[SourceFile, bytes | None], None, None]:
        """Yield the files, each checked before and after it is read, small ones with their content where that pays."""
        many = self.files if isinstance(self.files, ManyFiles) else None
        kept, self._kept = self._kept, {}
        small = [file for file in files if many and file.bytes <= SMALL_BYTES and file not in kept]
        contents = many.fetch_many(small) if many else None
        with contextlib.closing(contents) if contents else contextlib.nullcontext():
            for file in files:
                self.files.check_unchanged(file)
                content = kept.pop(file, None)
                if content is None and contents and file.bytes <= SMALL_BYTES:
                    content = next(contents)[1]
                yield file, content
                self.files.check_unchanged(file)

    def _rows(self, file: SourceFile, content: bytes | None = None) -> _Rows:
        wanted = self.settings
        stem, compression = _split_compression(file.name, wanted.compression)
        kind = self._kind(file)

        def opened(file: SourceFile) -> IO[bytes]:
            self._deps.check_read(file.uri)
            found = self._kept.get(file) if content is None else content
            return self.files.open(file) if found is None else io.BytesIO(found)

        if kind in COLUMNAR:
            if compression != "none":
                raise ConfigError(f"{file.uri} is a {kind} file in {compression}", expected="the plain file")
            return ColumnarRows(ParquetGroups if kind == "parquet" else OrcStripes, opened)
        syntax = JsonLines() if kind == "json_lines" else self._delimited("\t" if stem.endswith(".tsv") else ",")
        return TextRows(
            syntax, opened, compression=compression, encoding=wanted.encoding, sample_rows=wanted.sample_rows
        )

    def _kind(self, file: SourceFile) -> Format:
        return self.settings.format or _format(_split_compression(file.name, None)[0], file)

    def _delimited(self, usual: str) -> Delimited:
        if usual not in self._delimiters:
            self._delimiters[usual] = Delimited(
                delimiter=self.settings.delimiter or usual,
                quote=self.settings.quote,
                has_header=self.settings.header,
                null_values=self.settings.null_values,
            )
        return self._delimiters[usual]

    def _refused(self, names: Sequence[str], what: str, way_out: str) -> DataError:
        more = f" (and {len(names) - 1:,} more files)" if len(names) > 1 else ""
        return DataError(
            f"{names[0]!r} of {self.pattern} was read by an earlier run and {what}{more}",
            expected="files that stay as they are",
            hint=f"Set {way_out}, or ingest all of it anew with mode full",
            names=list(names[:NAMES_TOLD]),
        )


def _batch(gathered: Sequence[tuple[int, _Piece]], schema: pa.Schema) -> SourceBatch:
    pieces = [piece for _, piece in gathered]
    index, last = gathered[-1]
    found = last.assemble(pieces, schema)
    return SourceBatch(found.rows, {"file": index, "at": last.resume}, found.rejects)


def _split_compression(name: str, wanted: Compression | None) -> tuple[str, Compression]:
    """Return the name without the compression's extension, lower case, and the compression."""
    lower = name.lower()
    for extension, compression in COMPRESSIONS.items():
        if lower.endswith(extension):
            return lower.removesuffix(extension), wanted or compression
    return lower, wanted or "none"


def _format(stem: str, file: SourceFile) -> Format:
    for extension, found in FORMATS.items():
        if stem.endswith(extension):
            return found
    raise ConfigError(
        f"The format of {file.uri} cannot be told from its name",
        expected="a known extension, or `format`",
        known=[*FORMATS, *COMPRESSIONS],
        uri=file.uri,
    )

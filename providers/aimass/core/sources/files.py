"""Files as a source: delimited text, JSON lines, Parquet and ORC, on any file system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import Field

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError
from aimass.core.settings import Location
from aimass.core.sources.base import SourceBatch
from aimass.core.sources.casting import apply_overrides
from aimass.core.sources.columnar import ColumnarRows, OrcStripes, ParquetGroups
from aimass.core.sources.delimited import Delimited
from aimass.core.sources.json_lines import JsonLines
from aimass.core.sources.listing import SourceFile, check_unchanged, list_files
from aimass.core.sources.streams import COMPRESSIONS, Compression
from aimass.core.sources.text_rows import TextRows

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


class FilesSettings(settings.Settings):
    """Which files, and how they are spelled."""

    uri: Location = Field(
        description="Path or URI of a file, or a pattern with * and **; package://<distribution>/<file> names a file "
        "that an installed Python distribution ships."
    )
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


class _Rows(Protocol):
    """One family of formats."""

    def schema(self, files: Sequence[SourceFile], columns: Sequence[str] | None = None) -> pa.Schema: ...

    def read(self, file: SourceFile, schema: pa.Schema, at: Any = None) -> Iterator[SourceBatch]: ...


class FilesSource:
    """The rows of one or more files of the same format and columns, file by file in order of their names."""

    Settings: ClassVar[type[settings.Settings]] = FilesSettings

    def __init__(self, settings: FilesSettings, deps: Deps) -> None:
        self.settings = settings
        self._deps = deps
        self._schema: pa.Schema | None = None

    def position(self, since: Any = None) -> list[dict[str, Any]]:
        """Return the files with size and etag or time of last change."""
        files = list_files(self.settings.uri, self._deps)
        self._rows(files[0])
        return [file.model_dump() for file in files]

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
            files = _files(position)
            found = self._rows(files[0]).schema(files, self.settings.columns)
            self._schema = apply_overrides(found, self.settings.types)
        return self._schema

    def read(self, position: Any, resume: Any = None) -> Iterator[SourceBatch]:
        """Yield the rows in batches of about 8 MiB of text or 16 MiB of typed data."""
        schema = self.schema(position)
        first, at = (resume["file"], resume["at"]) if resume else (0, None)
        for index, file in enumerate(_files(position)):
            if index < first:
                continue
            check_unchanged(file, self._deps)
            for batch in self._rows(file).read(file, schema, at if index == first else None):
                yield SourceBatch(batch.rows, {"file": index, "at": batch.resume}, batch.rejects)

    def _rows(self, file: SourceFile) -> _Rows:
        wanted = self.settings
        stem, compression = _split_compression(file.name, wanted.compression)
        kind = wanted.format or _format(stem, file)
        if kind in ("parquet", "orc"):
            if compression != "none":
                raise ConfigError(f"{file.uri} is a {kind} file in {compression}", expected="the plain file")
            return ColumnarRows(ParquetGroups if kind == "parquet" else OrcStripes, self._deps)
        syntax = JsonLines() if kind == "json_lines" else self._delimited(stem)
        return TextRows(
            syntax,
            self._deps,
            compression=compression,
            encoding=wanted.encoding,
            sample_rows=wanted.sample_rows,
        )

    def _delimited(self, stem: str) -> Delimited:
        return Delimited(
            delimiter=self.settings.delimiter or ("\t" if stem.endswith(".tsv") else ","),
            quote=self.settings.quote,
            has_header=self.settings.header,
            null_values=self.settings.null_values,
        )


def _files(position: Any) -> list[SourceFile]:
    return [SourceFile.model_validate(file) for file in position]


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

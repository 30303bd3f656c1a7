"""THE one way to read and write rows: Parquet parts under a manifest, read through the access seam."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from aimass.core.errors import CorruptDataError, NotFoundError, SchemaMismatchError, from_os_error, missing_column
from aimass.core.failpoints import Failpoints, NoFailpoints
from aimass.core.manifest import Column, Manifest, Part, Split, load_manifest
from aimass.core.parts import CELLS_PER_GROUP, OpenPart, StagedPart
from aimass.core.storage import Store, as_uri

if TYPE_CHECKING:
    from aimass.core.deps import Deps

ROWS_PER_BATCH = 65_536
ROWS_PER_CHECKPOINT = 250_000
BYTES_PER_CHECKPOINT = 64 << 20
CHECKPOINT_SUFFIX = ".checkpoint.json"


class Dataset:
    """A published dataset, open for reading.

    Parameters
    ----------
    uri : str
        Folder of the dataset.
    manifest : Manifest
        Its manifest.
    deps : Deps
        Whose store reads it and whose access policy is asked before each read.
    """

    def __init__(self, uri: str, manifest: Manifest, deps: Deps) -> None:
        self.uri = uri
        self.manifest = manifest
        self._deps = deps

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
        return [column.name for column in self.manifest.columns]

    def rows(self, *splits: Split) -> int:
        """Return the number of rows, of all parts or of the named shares of the split."""
        return sum(part.rows for part in self._parts(splits))

    def require(self, *columns: str) -> None:
        """Raise SchemaMismatchError unless every one of `columns` exists."""
        for column in columns:
            if column not in self.columns:
                raise missing_column(column, self.columns, where=f"the dataset {self.uri}")

    def scan(self, *splits: Split, columns: Sequence[str] | None = None) -> pl.LazyFrame:
        """Return the rows lazily, in the order in which they were written.

        Parameters
        ----------
        *splits : {"train", "validation", "test"}
            Only these shares of the split; all rows when none is named.
        columns : sequence of str, optional
            Only these columns, in this order.

        Raises
        ------
        NotAllowedError
            The access policy refuses.
        CorruptDataError
            A part is missing or has another size than the manifest says.
        """
        if columns is not None:
            self.require(*columns)
        self._deps.check_read(self.uri, columns)
        parts = self._parts(splits)
        frame = self._scan(parts) if parts else self._newest().head(0)
        return frame.select(columns) if columns is not None else frame

    def slices(self, *splits: Split) -> Iterator[pl.LazyFrame]:
        """Yield the rows (of the named shares) in order, as lazy frames of at most 65,536 rows and 4 million cells.

        For what computes rows from rows and writes them: `batches` of the whole share would hold whatever polars
        reads ahead of a slow consumer, which is most of the file.
        """
        rows = max(1024, min(ROWS_PER_BATCH, CELLS_PER_GROUP // max(1, len(self.columns))))
        frame = self.scan(*splits)
        for start in range(0, self.rows(*splits), rows):
            yield frame.slice(start, rows)

    def read(self, *splits: Split, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return the rows as one frame; for what is known to fit in memory."""
        return collect(self.scan(*splits, columns=columns))

    def _parts(self, splits: Sequence[Split]) -> list[Part]:
        return [part for part in self.manifest.parts if not splits or part.split in splits]

    def _scan(self, parts: Sequence[Part]) -> pl.LazyFrame:
        """Return the rows of `parts`, the older ones' with the dataset's columns and types."""
        if not any(part.is_older for part in parts):
            return pl.scan_parquet([self._local_part(part) for part in parts])
        newest = self._newest().collect_schema()
        frames = []
        for older, group in itertools.groupby(parts, lambda part: part.folder if part.is_older else None):
            frame = pl.scan_parquet([self._local_part(part) for part in group])
            frames.append(frame if older is None else _upgraded(frame, newest))
        return pl.concat(frames)

    def _newest(self) -> pl.LazyFrame:
        """Return a part that has the dataset's columns and types."""
        part = next(part for part in reversed(self.manifest.parts) if not part.is_older)
        return pl.scan_parquet(self._local_part(part))

    def _local_part(self, part: Part) -> str:
        uri = part.uri(self.uri)
        path = self._deps.store.localize(uri, sha256=part.sha256)
        size = path.stat().st_size
        if size != part.bytes:
            raise CorruptDataError(
                f"{uri} has {size:,} bytes",
                expected=f"{part.bytes:,} bytes, as the manifest says",
                hint="Delete this dataset's folder and run the pipeline again",
                uri=self.uri,
            )
        return str(path)


def open_dataset(uri: str, deps: Deps) -> Dataset:
    """Open the dataset published at `uri` (or a local path); rows are read by `Dataset.scan`, which asks the policy."""
    uri = as_uri(uri.rstrip("/"))
    manifest = load_manifest(deps.store, uri)
    if manifest.kind != "dataset":
        raise SchemaMismatchError(f"{uri} holds an artifact of stage {manifest.stage!r}", expected="a dataset", uri=uri)
    return Dataset(uri, manifest, deps)


def schema_of(uri: str, manifest: Manifest, store: Store) -> pa.Schema:
    """Return the Arrow schema of the dataset in folder `uri`, from the end of one of its parts."""
    part = next(part for part in reversed(manifest.parts) if not part.is_older)
    with store.open(part.uri(uri)) as file:
        return pq.read_schema(file).remove_metadata()


def _upgraded(frame: pl.LazyFrame, schema: pl.Schema) -> pl.LazyFrame:
    found = frame.collect_schema()
    return frame.select(
        (pl.col(name) if name in found else pl.lit(None)).cast(dtype).alias(name) for name, dtype in schema.items()
    )


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    """Collect with the streaming engine; unreadable Parquet becomes CorruptDataError."""
    with polars_errors():
        return frame.collect(engine="streaming")


def batches(frame: pl.LazyFrame, *, rows: int = ROWS_PER_BATCH) -> Iterator[pl.DataFrame]:
    """Yield the rows of `frame` in order, `rows` at a time, without ever holding them all."""
    with polars_errors():
        for batch in frame.collect_batches(chunk_size=rows, maintain_order=True, engine="streaming"):
            if batch.height:
                yield batch


@contextlib.contextmanager
def polars_errors() -> Iterator[None]:
    """Translate polars' own exceptions met while rows are computed into the engine's."""
    try:
        yield
    except pl.exceptions.ColumnNotFoundError as error:
        raise SchemaMismatchError(f"A column is not there: {str(error).splitlines()[0]}") from error
    except (pl.exceptions.SchemaError, pl.exceptions.InvalidOperationError) as error:
        raise SchemaMismatchError(
            f"An expression does not fit the columns' types: {str(error).splitlines()[0]}"
        ) from error
    except pl.exceptions.ComputeError as error:
        raise CorruptDataError(f"The rows cannot be read: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise from_os_error(error, doing="reading rows") from error


class _Checkpoint(BaseModel):
    """The parts finished so far and how far the source had been read with them; deleted once the manifest stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: list[Part] = Field(description="The finished parts, in order.")
    position: object = Field(description="The source's position after their last row.")
    of: str = Field(default="", description="Digest of what is being written; only that can be gone on with.")


class DatasetWriter:
    """Write rows as Parquet parts; nothing is visible until the stage publishes the manifest.

    The same rows in the same order give the same bytes, however they are cut into batches.

    Parameters
    ----------
    store : Store
        Where to write.
    folder : str
        The output's folder.
    failpoints : Failpoints, optional
        Told "part_staged" and "part_done" as they pass.
    tags : dict, optional
        ``{column: {tag: value}}`` for the manifest.
    resumes : str, optional
        Digest of what is written, if the folder does not tell; checkpoints of something else are passed over.

    Notes
    -----
    Memory is bounded by one row group per share of the split: 16,384 rows or 64 MiB, or one row where that is more.

    A part is brought to disk, digested and moved to its place in a thread of its own, while rows of the next one are
    written; one part at a time, in their order. What goes wrong there is raised by the next call that ends a part.
    """

    def __init__(
        self,
        store: Store,
        folder: str,
        *,
        failpoints: Failpoints | None = None,
        tags: dict[str, dict[str, str]] | None = None,
        resumes: str = "",
    ) -> None:
        self.parts: list[Part] = []
        self._resumes = resumes
        self._store = store
        self._folder = folder
        self._failpoints = failpoints or NoFailpoints()
        self._tags = dict(tags or {})
        self._schema: pa.Schema | None = None
        self._shares: dict[Split | None, OpenPart] = {}
        self._finisher = ThreadPoolExecutor(1, thread_name_prefix="finish-part")
        self._finishing: Future[None] | None = None

    def resume(self) -> object:
        """Take over the parts that an interrupted attempt finished; return the position after the last, or None.

        Parts of another schema than the declared one are not taken over: the table has changed since.
        """
        standing = [checkpoint for checkpoint in self._checkpoints() if self._stands(checkpoint)]
        if not standing:
            return None
        last = max(standing, key=lambda checkpoint: sum(part.rows for part in checkpoint.parts))
        first = self._store.localize(f"{self._folder}/{last.parts[0].name}", sha256=last.parts[0].sha256)
        schema = pq.read_schema(first)
        if self._schema is not None and self._schema != schema:
            return None
        self.parts, self._schema = last.parts, schema
        return last.position

    def write(self, rows: pa.Table | pl.DataFrame, *, split: Split | None = None) -> None:
        """Append `rows`; the first call fixes the schema, a later one with another is a SchemaMismatchError."""
        table = _arrow(rows)
        if self._schema is None:
            self._schema = table.schema
        if table.schema != self._schema:
            table = _conform(table, self._schema)
        share = self._shares.setdefault(split, OpenPart(self._store, self._folder, self._schema, split))
        while table.num_rows:
            with _parquet_errors():
                table = table.slice(share.append(table))
            if share.is_full():
                self._cut(share)

    @property
    def is_checkpoint_due(self) -> bool:
        """Whether enough rows were written since the last part for `checkpoint` to finish another one."""
        share = self._shares.get(None)
        return share is not None and (share.rows >= ROWS_PER_CHECKPOINT or share.bytes >= BYTES_PER_CHECKPOINT)

    def checkpoint(self, position: object) -> None:
        """Finish the open part when that is due, so that a later attempt can go on from `position`.

        Where parts end then depends on where the caller stands: call it at places that are the same in each attempt.
        """
        if not self.is_checkpoint_due:
            return
        self._cut(self._shares[None], lambda: self._note(position))

    def forget_checkpoints(self) -> None:
        """Delete the notes for a later attempt, once none is needed."""
        for part in self.parts:
            self._store.delete(f"{self._folder}/{part.name}{CHECKPOINT_SUFFIX}")

    def declare(self, schema: pa.Schema) -> None:
        """Fix the schema before any row is written, so that an output without rows has columns."""
        self._schema = self._schema or normal_schema(schema)

    def close(self) -> None:
        """Finish every open part; an output without any row gets one empty part, which keeps its types."""
        self._wait()
        has_part = bool(self.parts)
        if self._schema is not None and not has_part:
            self._shares.setdefault(None, OpenPart(self._store, self._folder, self._schema, None))
        for share in self._shares.values():
            if share.rows or not has_part:
                # Nothing is written meanwhile, so no thread is needed.
                self._finish(_closed(share))
                has_part = True
        self._finisher.shutdown()

    def abandon(self) -> None:
        """Drop what is staged; finished parts stay for the next attempt."""
        # What ends the attempt is known already; this would only be another error.
        with contextlib.suppress(BaseException):
            self._wait()
        self._finisher.shutdown()
        for share in self._shares.values():
            share.abandon()

    def tag(self, column: str, tags: dict[str, str]) -> None:
        """Add tags that are known only after the rows were seen."""
        self._tags[column] = {**self._tags.get(column, {}), **tags}

    @property
    def columns(self) -> list[Column]:
        """The schema, for the manifest."""
        return [
            Column(name=field.name, type=type_name(field.type), tags=self._tags.get(field.name, {}))
            for field in (self._schema or [])
        ]

    def _cut(self, share: OpenPart, then: Callable[[], None] = lambda: None) -> None:
        """End the open part of `share`; it is finished, and then `then` called, while others go on."""
        self._wait()
        self._finishing = self._finisher.submit(self._finish, _closed(share), then)

    def _finish(self, staged: StagedPart, then: Callable[[], None] = lambda: None) -> None:
        with _parquet_errors():
            self.parts.append(staged.publish(self._store, self._folder, len(self.parts), self._failpoints))
        then()

    def _wait(self) -> None:
        finishing, self._finishing = self._finishing, None
        if finishing is not None:
            finishing.result()

    def _note(self, position: object) -> None:
        """Let a later attempt know that the parts so far end at `position`."""
        done = _Checkpoint(parts=self.parts, position=position, of=self._resumes)
        self._store.publish(f"{self._folder}/{self.parts[-1].name}{CHECKPOINT_SUFFIX}", done.model_dump_json().encode())
        self._failpoints.hit("part_done")

    def _checkpoints(self) -> Iterator[_Checkpoint]:
        for name in self._store.list(self._folder):
            if name.endswith(CHECKPOINT_SUFFIX):
                # Another attempt, which has published meanwhile, may be deleting them.
                with contextlib.suppress(NotFoundError):
                    yield _Checkpoint.model_validate(self._store.read_json(f"{self._folder}/{name}"))

    def _stands(self, checkpoint: _Checkpoint) -> bool:
        names = [part.name for part in checkpoint.parts]
        return checkpoint.of == self._resumes and all(self._store.exists(f"{self._folder}/{name}") for name in names)


def _closed(share: OpenPart) -> StagedPart:
    with _parquet_errors():
        return share.close()


def type_name(arrow_type: pa.DataType) -> str:
    """Return how manifests spell an Arrow type: Arrow's own name without the ``large_`` of offsets."""
    return str(arrow_type).replace("large_", "")


def _arrow(rows: pa.Table | pl.DataFrame) -> pa.Table:
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest()) if isinstance(rows, pl.DataFrame) else rows
    schema = normal_schema(table.schema)
    return table if table.schema == schema else table.cast(schema)


def normal_schema(schema: pa.Schema) -> pa.Schema:
    """Return `schema` as datasets keep it: large offsets, no dictionaries, no views."""
    return pa.schema([pa.field(field.name, _normal_type(field.type)) for field in schema])


def _normal_type(arrow_type: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(arrow_type):
        return _normal_type(arrow_type.value_type)
    if pa.types.is_string(arrow_type) or pa.types.is_string_view(arrow_type):
        return pa.large_string()
    if pa.types.is_binary(arrow_type) or pa.types.is_binary_view(arrow_type):
        return pa.large_binary()
    return cast("pa.DataType", arrow_type)


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    if table.schema.names != schema.names:
        missing = [name for name in schema.names if name not in table.schema.names]
        raise SchemaMismatchError(
            f"A batch has the columns {', '.join(table.schema.names)}",
            expected=f"the columns of the first batch: {', '.join(schema.names)}",
            column=missing[0] if missing else None,
        )
    try:
        return table.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaMismatchError(f"A batch has other types than the first one: {error}") from error


@contextlib.contextmanager
def _parquet_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise from_os_error(error, doing="writing rows") from error

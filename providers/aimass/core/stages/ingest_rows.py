"""Rows on their way from the source to the dataset: counted, kept aside where they do not fit, gone on with."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from aimass.core.datasets import DatasetWriter
from aimass.core.deps import Deps
from aimass.core.manifest import File
from aimass.core.progress import ProgressEvent
from aimass.core.schemas import conform
from aimass.core.settings import Settings
from aimass.core.sources.base import Source, SourceBatch
from aimass.core.stages.base import Output
from aimass.core.stages.ingest_config import IngestConfig
from aimass.core.stages.ingest_earlier import Earlier
from aimass.core.stages.read_ahead import reading_ahead

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLES = 3
BYTES_PER_FILE = 16 << 20


class _State(Settings):
    """What a later attempt needs to go on after a checkpoint."""

    resume: Any = Field(description="Where the source stands.")
    rows: int = Field(description="Rows written so far.")
    reasons: dict[str, int] = Field(description="Rejected rows so far, by reason.")
    examples: list[str] = Field(description="The first rejected rows.")
    files: list[File] = Field(description="Finished files of rejected rows.")


class Rejects:
    """Rejected rows: counted, and written as ``rejects/00000-<digest>.jsonl.gz``, a file per checkpoint or 16 MiB."""

    def __init__(self, output: Output, state: _State | None) -> None:
        self.reasons = Counter(state.reasons if state else {})
        self.examples = list(state.examples if state else [])
        self.files = list(state.files if state else [])
        self._output = output
        self._lines: list[bytes] = []
        self._bytes = 0
        for file in self.files:
            output.adopt_file(file)

    def add(self, rejects: pa.Table) -> None:
        """Take note of rejected rows."""
        for row in rejects.to_pylist():
            self.reasons[row["reason"]] += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(f"{row['where']}: {row['reason']}")
            self._lines.append(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            self._bytes += len(self._lines[-1])
        if self._bytes >= BYTES_PER_FILE:
            self.flush()

    def flush(self) -> None:
        """Write the rows noted since the last call."""
        if self._lines:
            data = gzip.compress(b"".join(self._lines), mtime=0)
            # The digest keeps another attempt, which may be working at this moment, from writing over this one's file.
            name = f"rejects/{len(self.files):05d}-{hashlib.sha256(data).hexdigest()[:12]}.jsonl.gz"
            self._output.write_file(name, data)
            self.files.append(next(file for file in self._output.files if file.name == name))
            self._lines, self._bytes = [], 0


class Pace:
    """How fast rows come and when they will all be there, told as progress.

    Parameters
    ----------
    deps : Deps
        Whose progress is told.
    step : str
        What is being done.
    done : int
        Rows that an earlier attempt read.
    total : int, optional
        Rows that are expected.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self, deps: Deps, step: str, *, done: int, total: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._deps = deps
        self._step = step
        self._first = self._rows = done
        self._total = total
        self._bytes = 0
        self._clock = clock
        self._began = clock()

    def add(self, rows: int, size_bytes: int) -> None:
        """Take note of rows and tell how far it is."""
        self._rows += rows
        self._bytes += size_bytes
        seconds = max(self._clock() - self._began, 1e-3)
        rate = (self._rows - self._first) / seconds
        said = f"{rate:,.0f} rows/s, {self._bytes / seconds / 1e6:,.1f} MB/s"
        left = (self._total or 0) - self._rows
        if left > 0 and rate:
            said += f", {left / rate:,.0f} s left"
        # An estimate that turned out too low is none.
        total = self._total if self._total and left >= 0 else None
        self._deps.progress.report(ProgressEvent(self._step, self._rows, total, "rows", said))


def copy_rows(
    source: Source, output: Output, deps: Deps, *, earlier: Earlier, config: IngestConfig
) -> tuple[int, Rejects]:
    """Write what the source has at the output's position, after the earlier rows; return how many, and the rejects."""
    writer = output.dataset(read_from=config.source)
    writer.declare(earlier.schema)
    saved = writer.resume()
    state = _State.model_validate(saved) if saved else None
    if state is None:
        earlier.write_small(writer)
    rejects = Rejects(output, state)
    rows = state.rows if state else 0
    estimate = getattr(source, "estimate", None)
    pace = Pace(deps, f"reading {config.name}", done=rows, total=estimate(output.position) if estimate else None)
    with reading_ahead(lambda: source.read(output.position, state.resume if state else None)) as batches:
        for batch in batches:
            deps.failpoints.hit("batch_read")
            rows += _write(batch, writer, rejects, earlier.schema)
            if writer.is_checkpoint_due and batch.resume is not None:
                rejects.flush()
                now = _State(
                    resume=batch.resume,
                    rows=rows,
                    reasons=rejects.reasons,
                    examples=rejects.examples,
                    files=rejects.files,
                )
                writer.checkpoint(now.model_dump(mode="json"))
            pace.add(batch.rows.num_rows, batch.rows.nbytes)
    rejects.flush()
    return rows, rejects


def _write(batch: SourceBatch, writer: DatasetWriter, rejects: Rejects, schema: pa.Schema) -> int:
    writer.write(conform(batch.rows, schema))
    if batch.rejects is not None:
        rejects.add(batch.rejects)
    return int(batch.rows.num_rows)

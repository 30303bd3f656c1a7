"""Ingest: read a source as it stands, keep what does not fit aside, and publish the rest as a dataset."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from aimass.core.backends import BackendOf, backend_of
from aimass.core.deps import Deps
from aimass.core.errors import AimassError, DataError, EmptyDataError
from aimass.core.manifest import File
from aimass.core.progress import ProgressEvent
from aimass.core.settings import Settings
from aimass.core.sources import SOURCES
from aimass.core.sources.base import Source
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult
from aimass.core.storage import text_digest

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLES = 3
BYTES_PER_FILE = 16 << 20

Rule = Literal["error", "accept"]


class IngestConfig(StageConfig):
    """What to read."""

    name: str = Field(description="Name of the table that the source becomes.")
    source: Annotated[dict[str, Any], BackendOf(SOURCES)] = Field(
        description="The source: `type` names its kind, the other keys are that kind's settings."
    )
    max_reject_share: float = Field(
        default=0.01, ge=0, le=1, description="Share of rows that may be kept aside before the stage fails."
    )
    mode: Literal["full", "incremental", "snapshot"] = Field(
        default="full",
        description="full: all rows as they stand. incremental: what is new since the last time. snapshot: all rows of "
        "one moment, from sources that can give that.",
    )
    keep: Literal["all", "new"] = Field(
        default="all",
        description="Of an incremental read, the rows of the dataset: all so far, or only the new ones.",
    )
    on_added_column: Rule = Field(
        default="error", description="What an incremental read does about a column that was not there before."
    )
    on_widened_type: Rule = Field(
        default="error", description="What an incremental read does about a type that has become wider."
    )
    on_lost_column: Rule = Field(
        default="error", description="What an incremental read does about a column that is gone; accept: nulls."
    )
    partition: Any = Field(
        default=None, description="One piece of the source's position, dealt by ingest_plan; the whole when empty."
    )

    @field_validator("source")
    @classmethod
    def _is_known(cls, value: dict[str, Any]) -> dict[str, Any]:
        backend_of(SOURCES, value)
        return value


class IngestResult(StageResult):
    """What was read."""

    rows: int = Field(default=0, description="Rows of the dataset.")
    rejected: int = Field(default=0, description="Rows kept aside because they do not fit.")
    reject_reasons: dict[str, int] = Field(default_factory=dict, description="Number of rejected rows by reason.")
    reject_examples: list[str] = Field(default_factory=list, description="The first rejected rows: place and reason.")
    max_reject_share: float = Field(default=1.0, description="Share of rejected rows that is allowed.")


class _State(Settings):
    """What a later attempt needs to go on after a checkpoint."""

    resume: Any = Field(description="Where the source stands.")
    rows: int = Field(description="Rows written so far.")
    reasons: dict[str, int] = Field(description="Rejected rows so far, by reason.")
    examples: list[str] = Field(description="The first rejected rows.")
    files: list[File] = Field(description="Finished files of rejected rows.")


class _Rejects:
    """Rejected rows: counted, and written as ``rejects/00000.jsonl.gz``, a file per checkpoint or 16 MiB."""

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
            name = f"rejects/{len(self.files):05d}.jsonl.gz"
            self._output.write_file(name, gzip.compress(b"".join(self._lines), mtime=0))
            self.files.append(next(file for file in self._output.files if file.name == name))
            self._lines, self._bytes = [], 0


def _ingest(config: IngestConfig, deps: Deps, output: Output) -> IngestResult:
    source = _source(config, deps)
    writer = output.dataset()
    saved = writer.resume()
    state = _State.model_validate(saved) if saved else None
    rejects = _Rejects(output, state)
    rows = state.rows if state else 0
    writer.declare(source.schema(output.position))
    for batch in source.read(output.position, state.resume if state else None):
        writer.write(batch.rows)
        rows += batch.rows.num_rows
        if batch.rejects is not None:
            rejects.add(batch.rejects)
        if writer.is_checkpoint_due:
            rejects.flush()
            now = _State(
                resume=batch.resume,
                rows=rows,
                reasons=rejects.reasons,
                examples=rejects.examples,
                files=rejects.files,
            )
            writer.checkpoint(now.model_dump(mode="json"))
        deps.progress.report(ProgressEvent(f"reading {config.name}", done=rows, unit="rows"))
    rejects.flush()
    return IngestResult(
        rows=rows,
        rejected=rejects.reasons.total(),
        reject_reasons=dict(rejects.reasons.most_common()),
        reject_examples=rejects.examples,
        max_reject_share=config.max_reject_share,
    )


def _position(config: IngestConfig, deps: Deps) -> Any:
    source = _source(config, deps)
    # The settings are part of the name: a run id that is used again with another source must not see the old one.
    name = f"ingest-{config.name}-{text_digest(config.source)[:12]}"
    return deps.pin(name, source.position)


def _source(config: IngestConfig, deps: Deps) -> Source:
    backend, settings = backend_of(SOURCES, config.source)
    return backend(settings, deps)


def _refusal(result: IngestResult) -> AimassError | None:
    seen = result.rows + result.rejected
    reasons = "; ".join(f"{reason} ({count:,})" for reason, count in list(result.reject_reasons.items())[:5])
    if not seen:
        return EmptyDataError("The source has no rows", expected="at least one row")
    if result.rejected <= result.max_reject_share * seen and result.rows:
        return None
    return DataError(
        f"{result.rejected:,} of {seen:,} rows do not fit: {reasons}. First: {', '.join(result.reject_examples)}",
        expected=f"at most {result.max_reject_share:.2%} of the rows, and at least one that fits",
        hint=f"See {result.uri}/rejects; set `types` or `null_values` of the source, or raise `max_reject_share`",
        reasons=result.reject_reasons,
        uri=result.uri,
    )


STAGE = Stage("ingest", IngestConfig, IngestResult, 1, _ingest, position=_position, refusal=_refusal)
run = STAGE.run

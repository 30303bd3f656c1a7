"""Ingest: read a source as it stands, keep what does not fit aside, and publish the rest as a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aimass.core.datasets import normal_schema, schema_of
from aimass.core.deps import Deps
from aimass.core.errors import AimassError, DataError, EmptyDataError
from aimass.core.sources.base import Source
from aimass.core.stages.base import Output
from aimass.core.stages.ingest_chain import IngestStage
from aimass.core.stages.ingest_config import IngestConfig as IngestConfig
from aimass.core.stages.ingest_config import IngestResult as IngestResult
from aimass.core.stages.ingest_config import open_source
from aimass.core.stages.ingest_earlier import take_over, told_types, types_before, with_types
from aimass.core.stages.ingest_rows import EXAMPLES, copy_rows

if TYPE_CHECKING:
    import pyarrow as pa


def _ingest(config: IngestConfig, deps: Deps, output: Output) -> IngestResult:
    config, source, schema = _open(config, deps, output)
    earlier = take_over(config, deps, output, schema)
    rows, rejects = copy_rows(source, output, deps, earlier=earlier, config=config)
    return result_of(
        config, output, rows=rows, earlier_rows=earlier.rows, reasons=rejects.reasons, examples=rejects.examples
    )


def _open(config: IngestConfig, deps: Deps, output: Output) -> tuple[IngestConfig, Source, pa.Schema]:
    """Return the source and its schema, inferred types being those of the earlier reads where values fit them."""
    source = open_source(config, deps)
    if output.target.previous is None:
        return config, source, normal_schema(source.schema(output.position))
    before = schema_of(*output.target.previous, deps.store)
    try:
        schema = normal_schema(source.schema(output.position))
        types = told_types(config, before, schema)
        if types:
            config = with_types(config, types)
            source = open_source(config, deps)
            schema = normal_schema(source.schema(output.position))
    except EmptyDataError:
        # Nothing that is new is a row, so the columns are the earlier ones.
        schema = before
    return config, source, types_before(config, before, schema)


def result_of(
    config: IngestConfig,
    output: Output,
    *,
    rows: int,
    earlier_rows: int,
    reasons: Counter[str],
    examples: Sequence[str],
) -> IngestResult:
    """Return the result of a read of `rows` new rows; raises EmptyDataError where the whole source has none."""
    if not rows and not reasons and output.target.previous is None and config.partition is None:
        raise EmptyDataError("The source has no rows", expected="at least one row")
    return IngestResult(
        rows=earlier_rows + rows,
        earlier_rows=earlier_rows,
        link=output.target.link.number if output.target.link else None,
        rejected=reasons.total(),
        reject_reasons=dict(reasons.most_common()),
        reject_examples=list(examples[:EXAMPLES]),
        max_reject_share=config.max_reject_share,
    )


def _refusal(result: IngestResult) -> AimassError | None:
    if not result.has_too_many_rejects:
        return None
    seen = result.rows - result.earlier_rows + result.rejected
    reasons = "; ".join(f"{reason} ({count:,})" for reason, count in list(result.reject_reasons.items())[:5])
    return DataError(
        f"{result.rejected:,} of {seen:,} rows do not fit: {reasons}. First: {', '.join(result.reject_examples)}",
        expected=f"at most {result.max_reject_share:.2%} of the rows, and at least one that fits",
        hint=f"See {result.uri}/rejects; set `types` or `null_values` of the source, or raise `max_reject_share`",
        reasons=result.reject_reasons,
        uri=result.uri,
    )


STAGE = IngestStage("ingest", IngestConfig, IngestResult, 1, _ingest, refusal=_refusal)
run = STAGE.run

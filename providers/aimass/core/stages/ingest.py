"""Ingest: read a source as it stands, keep what does not fit aside, and publish the rest as a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aimass.core.datasets import normal_schema, schema_of
from aimass.core.deps import Deps
from aimass.core.errors import AimassError, DataError, EmptyDataError, SchemaMismatchError
from aimass.core.schemas import Merged, merge_schemas
from aimass.core.sources.base import Source
from aimass.core.stages.base import Output
from aimass.core.stages.ingest_chain import IngestStage
from aimass.core.stages.ingest_config import IngestConfig as IngestConfig
from aimass.core.stages.ingest_config import IngestResult as IngestResult
from aimass.core.stages.ingest_config import open_source
from aimass.core.stages.ingest_rows import EXAMPLES, copy_rows

if TYPE_CHECKING:
    import pyarrow as pa


def _ingest(config: IngestConfig, deps: Deps, output: Output) -> IngestResult:
    source = open_source(config, deps)
    schema = with_earlier(config, deps, output, _schema(source, output, deps))
    earlier_rows = sum(part.rows for part in output.parts)
    rows, rejects = copy_rows(source, output.dataset(), output, deps, schema=schema, name=config.name)
    return result_of(
        config, output, rows=rows, earlier_rows=earlier_rows, reasons=rejects.reasons, examples=rejects.examples
    )


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


def with_earlier(config: IngestConfig, deps: Deps, output: Output, schema: pa.Schema) -> pa.Schema:
    """Return the schema of a read, which holds the rows of earlier ones, too; refer to those rows where wanted.

    Raises
    ------
    SchemaMismatchError
        The columns have changed, and the rules do not accept that.
    """
    if output.target.previous is None:
        return schema
    folder, before = output.target.previous
    merged = merge_schemas(schema_of(folder, before, deps.store), schema)
    _check_rules(config, merged, folder)
    if config.keep == "all":
        parts = [part for part in before.parts if part.rows]
        output.adopt_parts([part.seen_from(output.uri, owner=folder, is_older=merged.is_wider) for part in parts])
    return merged.schema


def _schema(source: Source, output: Output, deps: Deps) -> pa.Schema:
    try:
        return normal_schema(source.schema(output.position))
    except EmptyDataError:
        if output.target.previous is None:
            raise
        # Nothing that is new is a row, so the columns are the earlier ones.
        return schema_of(*output.target.previous, deps.store)


def _check_rules(config: IngestConfig, merged: Merged, before: str) -> None:
    """Raise SchemaMismatchError unless the rules accept all changes."""
    changes = {
        "on_added_column": ("added", merged.added),
        "on_lost_column": ("lost", merged.lost),
        "on_widened_type": ("widened", merged.widened),
    }
    wrong = {rule: change for rule, change in changes.items() if change[1] and getattr(config, rule) == "error"}
    if wrong:
        seen = "; ".join(f"{what} {', '.join(names)}" for what, names in wrong.values())
        rules = " and ".join(f"`{rule}: accept`" for rule in wrong)
        raise SchemaMismatchError(
            f"The columns of the source {config.name!r} have changed: {seen}",
            expected=f"the columns of the last read, {before}",
            hint=f"Set {rules} to go on (rows without a value get null), or read it anew under another `name`",
            changes={what: list(names) for what, names in wrong.values()},
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

"""The ingest stage cut into tasks: dealing out a source's position, and joining what was read of its pieces."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from typing import Any

from pydantic import Field

from aimass.core.datasets import normal_schema, schema_of
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, DataError, EmptyDataError
from aimass.core.manifest import PARTITIONS, InputRef, Manifest, load_manifest
from aimass.core.schemas import merge_schemas
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult, Target
from aimass.core.stages.ingest import STAGE as INGEST
from aimass.core.stages.ingest import result_of
from aimass.core.stages.ingest_chain import IngestStage, stands
from aimass.core.stages.ingest_config import IngestConfig, IngestResult, open_source
from aimass.core.stages.ingest_earlier import check_doubles, infers_types, take_over, told_types, with_types
from aimass.core.storage import as_uri, text_digest


class IngestPlanConfig(StageConfig):
    """What is to be read by several tasks at once."""

    ingest: IngestConfig = Field(description="The configuration of the stage ingest.")
    count: int = Field(default=4, ge=1, le=1_000, description="Into how many pieces, at most; the first plan decides.")


class IngestPlanResult(StageResult):
    """What was planned."""

    configs: list[dict[str, Any]] = Field(
        description="The configuration of ingest for each piece; none where all stands."
    )


class IngestGatherConfig(StageConfig):
    """Whose pieces are joined."""

    ingest: IngestConfig = Field(description="The configuration of the stage ingest, as it was planned.")
    pieces: list[str] = Field(description="URIs of the datasets of all pieces, in the order of the plan.")


def _plan(config: IngestPlanConfig, deps: Deps, _: Output) -> IngestPlanResult:
    target = INGEST.target(config.ingest, deps, finish_others=False)
    if stands(target, deps):
        return IngestPlanResult(configs=[])
    pieces = _partitions(target, deps) or _deal(config, deps, target)
    document = _with_earlier_types(config.ingest, deps, target).model_dump(mode="json", exclude_defaults=True)
    return IngestPlanResult(configs=[{**document, "partition": piece} for piece in pieces])


def _with_earlier_types(config: IngestConfig, deps: Deps, target: Target) -> IngestConfig:
    """Return `config` with the types that earlier reads of the chain have, where its pieces would guess others."""
    if target.previous is None or not infers_types(config):
        return config
    before = schema_of(*target.previous, deps.store)
    try:
        now = normal_schema(open_source(config, deps).schema(target.position))
    except EmptyDataError:
        return config
    return with_types(config, told_types(config, before, now))


def _deal(config: IngestPlanConfig, deps: Deps, target: Target) -> list[Any]:
    """Cut the target's position into pieces, and pin them beside it: a later run joins the same ones."""
    cut = getattr(open_source(config.ingest, deps), "partitions", None)
    if cut is None:
        raise ConfigError(
            f"A source of type {config.ingest.source['type']!r} cannot be cut into pieces",
            hint="Read it by one task of the stage ingest",
        )
    pieces = cut(target.position, config.count)
    deps.store.publish_once(_partitions_uri(target), json.dumps({"partitions": pieces}).encode())
    return _partitions(target, deps)


def _partitions(target: Target, deps: Deps) -> list[Any]:
    """Return the pieces that a plan dealt; none where there is no plan."""
    uri = _partitions_uri(target)
    return list(deps.store.read_json(uri)["partitions"]) if deps.store.exists(uri) else []


def _partitions_uri(target: Target) -> str:
    return f"{target.uri}/{PARTITIONS}{text_digest(target.position)[:12]}.json"


class _PlanStage(Stage[IngestPlanConfig, IngestPlanResult]):
    """Plans what others publish; publishes nothing of its own."""

    def _run(self, config: IngestPlanConfig, deps: Deps) -> IngestPlanResult:
        return self.body(config, deps, Output(deps, Target("", "")))


class _GatherStage(Stage[IngestGatherConfig, IngestResult]):
    """Publishes what `ingest` would publish, from pieces."""

    def _run(self, config: IngestGatherConfig, deps: Deps) -> IngestResult:
        def join(_: IngestConfig, deps: Deps, output: Output) -> IngestResult:
            return self.body(config, deps, output)

        stage = IngestStage(
            INGEST.name, INGEST.config, INGEST.result, INGEST.code_version, join, refusal=INGEST.refusal
        )
        return stage.run(config.ingest, deps)


def _gather(config: IngestGatherConfig, deps: Deps, output: Output) -> IngestResult:
    """Fill `output` with the rows of the pieces, where they are."""
    pieces = [(as_uri(uri.rstrip("/")), load_manifest(deps.store, uri)) for uri in config.pieces]
    _check_complete(pieces, _partitions(output.target, deps))
    schemas = [schema_of(uri, manifest, deps.store) for uri, manifest in pieces]
    inferred = infers_types(config.ingest)
    common = reduce(lambda one, other: merge_schemas(one, other, inferred=inferred).schema, schemas)
    earlier = take_over(config.ingest, deps, output, common, rewrites=False)
    for number, ((uri, manifest), own) in enumerate(zip(pieces, schemas, strict=True)):
        parts = [part for part in manifest.parts if part.rows]
        check_doubles(deps.store, uri, parts, own, earlier.schema)
        older = own != earlier.schema
        output.adopt_parts([part.seen_from(output.uri, owner=uri, is_older=older) for part in parts])
        output.inputs.append(InputRef(field=f"pieces.{number}", uri=uri, digest=manifest.digest))
    output.dataset().declare(earlier.schema)
    results = [IngestResult.model_validate(manifest.result) for _, manifest in pieces]
    return _sum(config.ingest, output, results, earlier.rows)


def _sum(config: IngestConfig, output: Output, results: Sequence[IngestResult], earlier_rows: int) -> IngestResult:
    reasons: Counter[str] = Counter()
    for result in results:
        reasons.update(result.reject_reasons)
    examples = [example for result in results for example in result.reject_examples]
    rows = sum(result.rows for result in results)
    return result_of(config, output, rows=rows, earlier_rows=earlier_rows, reasons=reasons, examples=examples)


def _check_complete(pieces: Sequence[tuple[str, Manifest]], planned: Sequence[Any]) -> None:
    """Raise DataError unless the pieces are those that were planned, each once."""
    if not planned or [manifest.position for _, manifest in pieces] != planned:
        raise DataError(
            f"{len(pieces)} pieces do not make up the planned {len(planned)}, in their order",
            expected="the dataset of each configuration that the stage ingest_plan returned in this run",
            hint="Run the plan and all its pieces again",
        )


PLAN = _PlanStage("ingest_plan", IngestPlanConfig, IngestPlanResult, 1, _plan)
GATHER = _GatherStage("ingest_gather", IngestGatherConfig, IngestResult, 1, _gather)

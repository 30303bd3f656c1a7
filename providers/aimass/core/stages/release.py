"""release: one graph from raw columns to the answer, certified, judged, registered, and put into use."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, field_validator

from aimass.core.backends import backend_of
from aimass.core.deps import Deps
from aimass.core.errors import AimassError, GateRefusedError
from aimass.core.progress import ProgressEvent
from aimass.core.release import REGISTRIES
from aimass.core.release.base import ALIAS_PATTERN, NAME_PATTERN
from aimass.core.release.card import certificate_line, render_card
from aimass.core.release.certificate import ParitySettings
from aimass.core.release.gate import GateSettings, Verdict, judge
from aimass.core.release.pieces import CARD_FILE, Addresses, Pieces
from aimass.core.release.promotion import PREVIOUS, metrics_of, open_registry, promote, rolled_back, stands
from aimass.core.release.report import report_html
from aimass.core.reports import write_report
from aimass.core.settings import OUTSIDE_KEY, InputUri
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult

SHOWN = {"rows", "edge_rows", "max_abs_diff", "flips", "flips_outside", "near_edge_rows", "ok", "warnings"}
"""Figures of the certificate that the result repeats."""


class ReleaseConfig(StageConfig):
    """What is released, under which name, and what it must prove first."""

    model: InputUri = Field(description="The models of train or optimize; the best one is released.")
    features: InputUri = Field(description="The featurize stage's output, with the feature graph.")
    raw: InputUri = Field(description="The split stage's dataset: raw rows for the certificate.")
    evaluation: InputUri = Field(description="The evaluation of that model on the test part.")
    name: str = Field(pattern=NAME_PATTERN, description="Name of the registered model.")
    alias: str = Field(default="champion", description="The alias that clients load it by.")
    gate: GateSettings = Field(default_factory=GateSettings, description="What it must reach on the test part.")
    parity: ParitySettings = Field(default_factory=ParitySettings, description="How much the certificate compares.")
    registry: dict[str, Any] = Field(
        default_factory=lambda: {"type": "mlflow"}, description="Where it is registered: `type` and settings."
    )
    accept_rolled_back: bool = Field(
        default=False, description="Whether a model may be released again whose very bytes were rolled back."
    )
    reason: Annotated[str, OUTSIDE_KEY] = Field(
        default="it passed the gate and its certificate holds", max_length=500, description="Why, for the ledger."
    )

    @field_validator("alias")
    @classmethod
    def _alias_is_possible(cls, alias: str) -> str:
        if not re.match(ALIAS_PATTERN, alias) or alias == PREVIOUS:
            raise ValueError(f"letters, digits, - and _ are allowed; not {PREVIOUS!r}, 'latest' or v1, v2 …")
        return alias

    @field_validator("registry")
    @classmethod
    def _registry_is_known(cls, registry: dict[str, Any]) -> dict[str, Any]:
        backend_of(REGISTRIES, registry)
        return registry


class ReleaseResult(StageResult):
    """What was released, or why not."""

    name: str = Field(description="Name of the registered model.")
    version: str | None = Field(description="Its version; empty where the release was refused.")
    alias: str = Field(description="The alias that points at it.")
    model_digest: str = Field(description="sha256 of model.onnx.")
    model_uri: str | None = Field(description="What clients load, such as models:/flights_late/3.")
    certificate: dict[str, Any] = Field(description="The certificate's figures: rows, differences, flips.")
    certificate_line: str = Field(description="The certificate in one line.")
    metrics: dict[str, float] = Field(description="Metrics on the test part.")
    standing: bool = Field(description="Whether the version stands under the alias.")
    refused: list[str] = Field(description="Why it was refused; empty where it was not.")
    compared_with: str | None = Field(description="The version that the gate compared with, by its digest.")
    registry: dict[str, Any] = Field(description="The registry that has it.")
    report: str = Field(description="URI of the HTML report.")


def _release(config: ReleaseConfig, deps: Deps, output: Output) -> ReleaseResult:
    pieces = Pieces(Addresses(config.model, config.features, config.raw, config.evaluation), deps)
    sha256 = pieces.write_graph(output)
    deps.failpoints.hit("graph_written")
    deps.progress.report(ProgressEvent("certifying", message="raw rows through ONNX and through the native model"))
    certificate = pieces.certify(output, sha256, config.parity)
    registry = open_registry(config.registry, deps)
    champion = registry.aliased(config.name, config.alias)
    rival = champion if champion is not None and champion.digest != sha256 else None
    verdict = judge(pieces.metrics, metrics_of(rival), config.gate)
    if not config.accept_rolled_back:
        verdict = Verdict((*verdict.checks, *rolled_back(registry.find(config.name, sha256))))
    facts = pieces.facts(config.name, config.alias, certificate, verdict.checks)
    refused = [*certificate.reasons, *map(str, verdict.refused)]
    output.write_file(CARD_FILE, render_card(facts))
    version = None
    if not refused:
        deps.progress.report(ProgressEvent("profiling", message="what live data will be compared with"))
        pieces.write_profile(output)
        package = pieces.package(config.name, output, certificate)
        accept = config.accept_rolled_back
        done = promote(registry, deps, package, alias=config.alias, why=config.reason, accept_rolled_back=accept)
        version = done.version
        deps.failpoints.hit("after_alias")
    report = write_report(output, lambda: report_html(facts, version))
    return ReleaseResult(
        name=config.name,
        version=version.version if version else None,
        alias=config.alias,
        model_digest=sha256,
        model_uri=version.uri if version else None,
        certificate=certificate.model_dump(mode="json", include=SHOWN),
        certificate_line=certificate_line(certificate.model_dump()),
        metrics=pieces.metrics,
        standing=version is not None,
        refused=refused,
        compared_with=rival.digest if rival else None,
        registry=config.registry,
        report=report,
    )


def _still_stands(result: ReleaseResult, deps: Deps) -> bool:
    """Return whether the registry is as this result left it: the version under its alias, or the rival still there."""
    registry = open_registry(result.registry, deps)
    if result.version is not None:
        return stands(
            registry, name=result.name, alias=result.alias, version=result.version, digest=result.model_digest
        )
    champion = registry.aliased(result.name, result.alias)
    return (champion.digest if champion else None) == result.compared_with


def _refusal(result: ReleaseResult) -> AimassError | None:
    if not result.refused:
        return None
    return GateRefusedError(
        f"{result.name} is not released: {'; '.join(result.refused)}",
        hint=f"The report says more: {result.report}",
        report=result.report,
        refused=result.refused,
    )


STAGE = Stage(
    name="release",
    config=ReleaseConfig,
    result=ReleaseResult,
    code_version=4,
    body=_release,
    verify=_still_stands,
    refusal=_refusal,
    modules=("polars", "onnx", "onnxruntime", "mlflow", "skops.io"),
)
run = STAGE.run

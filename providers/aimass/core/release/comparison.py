"""The model that would be released against the one in use: what a person wants to see before saying yes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from aimass.core.artifacts import Artifact
from aimass.core.deps import Deps
from aimass.core.errors import AimassError
from aimass.core.evaluation import METRICS
from aimass.core.evaluation.document import Evaluation
from aimass.core.release.base import METRICS_TAG, Version
from aimass.core.release.card import certificate_line
from aimass.core.release.gate import GateSettings, judge
from aimass.core.release.pieces import CERTIFICATE_FILE, OUTPUT_TAG, Addresses, Pieces
from aimass.core.release.promotion import open_registry

EVALUATION_FILE = "evaluation.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MetricChange(_Part):
    """One metric of both models on the test part."""

    name: str = Field(description="Name of the metric.")
    challenger: float = Field(description="Value of the model that would be released.")
    champion: float | None = Field(description="Value of the version in use; empty where it was not measured.")
    greater_is_better: bool = Field(description="Whether more is better.")

    @property
    def difference(self) -> float | None:
        """Challenger minus champion, or None."""
        return None if self.champion is None else self.challenger - self.champion

    @property
    def is_better(self) -> bool | None:
        """Whether the challenger is better; None where both are equal, or one is unknown."""
        difference = self.difference
        if not difference or math.isnan(difference):
            return None
        return (difference > 0) == self.greater_is_better


class Champion(_Part):
    """The version in use."""

    version: str = Field(description="Its number.")
    digest: str = Field(description="sha256 of its model.onnx.")
    certificate: str | None = Field(description="Its parity certificate in one line; empty where it is out of reach.")
    moved: str | None = Field(description="The ledger's line of how the alias came to it.")


class Comparison(_Part):
    """A release before it happens."""

    name: str = Field(description="Name of the registered model.")
    alias: str = Field(description="The alias that would move.")
    candidate: str = Field(description="Name of the candidate that would be released.")
    family: str = Field(description="Its model family.")
    threshold: float = Field(description="From which probability on its label is positive.")
    rows: int = Field(description="Rows of the test part.")
    positives: int = Field(description="Positive rows among them.")
    champion: Champion | None = Field(description="The version in use; empty where there is none.")
    metrics: list[MetricChange] = Field(description="Every metric, the gate's first.")
    gate: list[str] = Field(description="The gate's lines as they would be now.")
    passes: bool = Field(description="Whether the gate would let it through; the certificate is made by the release.")
    warnings: list[str] = Field(description="What the evaluation warns of.")


def compare(
    addresses: Addresses, deps: Deps, *, name: str, alias: str, gate: GateSettings, registry: Mapping[str, Any]
) -> Comparison:
    """Compare the model at `addresses` with the version that `alias` of `name` points at.

    Parameters
    ----------
    addresses : Addresses
        The published outputs that would be released.
    name, alias : str
        The registered model, and the alias that would move.
    gate : GateSettings
        What it must reach.
    registry : mapping
        The registry's document, such as ``{type: mlflow}``.

    Raises
    ------
    ConfigError
        The evaluation is of another model, is not on the test part, or did not measure the gate's metric.
    UnreachableError
        The registry does not answer.
    """
    pieces = Pieces(addresses, deps)
    evaluation = Evaluation.model_validate(Artifact(addresses.evaluation, deps).read_json(EVALUATION_FILE))
    measured = evaluation.named(evaluation.best)
    standing = open_registry(registry, deps).aliased(name, alias)
    before: dict[str, float] = json.loads(standing.tags.get(METRICS_TAG, "{}")) if standing else {}
    verdict = judge(pieces.metrics, before if standing else None, gate)
    names = sorted(pieces.metrics, key=lambda metric: (metric != gate.metric, metric))
    return Comparison(
        name=name,
        alias=alias,
        candidate=measured.name,
        family=measured.family,
        threshold=pieces.threshold,
        rows=evaluation.rows,
        positives=evaluation.positives,
        champion=_champion(standing, alias, deps) if standing else None,
        metrics=[
            MetricChange(
                name=metric,
                challenger=pieces.metrics[metric],
                champion=before.get(metric),
                greater_is_better=METRICS.load(metric).greater_is_better,
            )
            for metric in names
        ],
        gate=[str(reason) for reason in verdict.reasons],
        passes=verdict.ok,
        warnings=[str(caution.said or caution.text) for caution in evaluation.warnings],
    )


def _champion(version: Version, alias: str, deps: Deps) -> Champion:
    return Champion(
        version=version.version,
        digest=version.digest,
        certificate=_certificate(version, deps),
        moved=version.tags.get(f"aimass.moved.{alias}"),
    )


def _certificate(version: Version, deps: Deps) -> str | None:
    """Return the certificate's line; None where the version's output is gone, or was made by somebody else."""
    output = version.tags.get(OUTPUT_TAG)
    try:
        return str(certificate_line(Artifact(output, deps).read_json(CERTIFICATE_FILE))) if output else None
    except AimassError:
        return None

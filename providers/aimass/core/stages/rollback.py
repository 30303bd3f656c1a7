"""rollback: the evidence of one way back, for whoever asks later: what was seen, tried, moved and confirmed, by whom.

The way back itself is `aimass.core.release.rollback`; this stage only writes down what its steps returned.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from aimass.core.deps import Deps
from aimass.core.manifest import load_manifest
from aimass.core.monitoring.result import MonitorResult
from aimass.core.release.evidence import Evidence, evidence_html
from aimass.core.release.ledger import AliasMove
from aimass.core.release.promotion import metrics_of, open_registry
from aimass.core.release.rollback import Confirmation, Plan, Verification
from aimass.core.reports import write_report
from aimass.core.settings import InputMarker
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult

EVIDENCE_FILE = "evidence.json"


class RollbackConfig(StageConfig):
    """What the steps of the way back returned."""

    plan: Plan = Field(description="What was chosen.")
    move: AliasMove = Field(description="The ledger's entry.")
    verification: Verification = Field(description="What the servers saw when they tried the target.")
    confirmation: Confirmation = Field(description="What the servers did afterwards.")
    seen: Annotated[dict[str, str], InputMarker()] = Field(
        default={}, description="The output of the monitor stage that shows why: {monitor: URI}; may be empty."
    )
    registry: dict[str, Any] = Field(default={"type": "mlflow"}, description="The registry that has both versions.")


class RollbackResult(StageResult):
    """A way back, written down."""

    model: str = Field(description="Name of the registered model.")
    alias: str = Field(description="The alias that went back.")
    left: str = Field(description="The version that it left.")
    target: str = Field(description="The version that it points at now.")
    why: str = Field(description="Why.")
    who: str = Field(description="Who moved the alias.")
    when: str = Field(description="When (ISO 8601, UTC).")
    serving: list[str] = Field(description="Servers that answer with the target.")
    lacking: dict[str, str] = Field(description="What the other servers did instead.")
    report: str = Field(description="URI of the HTML report.")


def _write_down(config: RollbackConfig, deps: Deps, output: Output) -> RollbackResult:
    registry = open_registry(config.registry, deps)
    plan = config.plan
    evidence = Evidence(
        plan=plan,
        move=config.move,
        verification=config.verification,
        confirmation=config.confirmation,
        left_metrics=metrics_of(registry.version(plan.model, plan.leave)) or {},
        target_metrics=metrics_of(registry.version(plan.model, plan.target)) or {},
        seen=next((_monitored(uri, deps) for uri in config.seen.values()), None),
    )
    output.write_file(EVIDENCE_FILE, evidence.model_dump_json(indent=1))
    report = write_report(output, lambda: evidence_html(evidence))
    return RollbackResult(
        model=plan.model,
        alias=plan.alias,
        left=plan.leave,
        target=plan.target,
        why=plan.why,
        who=config.move.who,
        when=config.move.when,
        serving=config.confirmation.serving,
        lacking=config.confirmation.lacking,
        report=report,
    )


def _monitored(uri: str, deps: Deps) -> MonitorResult:
    return MonitorResult.model_validate({**load_manifest(deps.store, uri).result, "uri": uri})


STAGE = Stage(name="rollback", config=RollbackConfig, result=RollbackResult, code_version=1, body=_write_down)
run = STAGE.run

"""The optimize stage cut into tasks: planning a round, and one worker's share of it."""

from __future__ import annotations

from pydantic import Field

from aimass.core.deps import Deps
from aimass.core.stages.base import C, Output, R, Stage, StageConfig, StageResult, Target
from aimass.core.stages.optimize import Assignment, OptimizeConfig, WorkSummary, plan, work

MODULES = ("polars", "optuna", "sklearn.metrics", "lightgbm")


class PlanConfig(StageConfig):
    """One round's planning, as a task of its own."""

    optimize: OptimizeConfig = Field(description="The configuration of the optimize stage.")
    round_index: int = Field(ge=0, description="Which round, from 0.")


class PlanResult(StageResult):
    """What was planned."""

    assignments: list[Assignment] = Field(description="One share of the round for each worker.")


class WorkConfig(StageConfig):
    """One worker's share, as a task of its own."""

    optimize: OptimizeConfig = Field(description="The configuration of the optimize stage.")
    assignment: Assignment = Field(description="What `plan` dealt to this worker.")


class WorkResult(StageResult):
    """What one worker did."""

    summary: WorkSummary = Field(description="How many trials ended how, and the best score among them.")


class SharedStage(Stage[C, R]):
    """A part of a stage's work: its output is the study, so nothing is published under a key of its own."""

    def _run(self, config: C, deps: Deps) -> R:
        return self.body(config, deps, Output(deps, Target("", "")))


PLAN = SharedStage(
    name="optimize_plan",
    config=PlanConfig,
    result=PlanResult,
    code_version=1,
    body=lambda config, deps, _: PlanResult(assignments=plan(config.optimize, deps, config.round_index)),
    modules=MODULES,
)
WORK = SharedStage(
    name="optimize_work",
    config=WorkConfig,
    result=WorkResult,
    code_version=1,
    body=lambda config, deps, _: WorkResult(summary=work(config.optimize, deps, config.assignment)),
    modules=MODULES,
)

"""optimize: search families and their hyper-parameters in rounds, and keep the best model.

`plan` and `work` spread the trials over tasks; the stage itself completes whatever is missing, so it works alone, too.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, field_validator
from typing_extensions import TypedDict

from aimass.core.artifacts import Artifact
from aimass.core.backends import backend_of
from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError
from aimass.core.evaluation import METRICS, best_of
from aimass.core.manifest import find_manifest
from aimass.core.models import MODELS
from aimass.core.models.base import sharing_cores
from aimass.core.models.candidates import (
    Candidate,
    Candidates,
    load_candidates,
    load_model,
    save_candidate,
    write_candidates,
)
from aimass.core.search import SEARCHES
from aimass.core.search.base import Proposal
from aimass.core.search.rounds import Rounds, share_out
from aimass.core.search.search import OUT_OF_TIME, Search
from aimass.core.search.space import build_space, fixed_values
from aimass.core.search.steering import Baseline, known_points, steer
from aimass.core.search.study import Trial, open_study
from aimass.core.search.trials import TrialRunner
from aimass.core.settings import OUTSIDE_KEY, InputUri
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult
from aimass.core.tracking import tracker_of

TRIALS_FILE = "trials.json"


class OptimizeConfig(StageConfig):
    """What is searched, how, and for how long."""

    dataset: InputUri = Field(description="The featurize stage's dataset.")
    baseline: InputUri = Field(description="The train stage's models: where the search begins, and what it must beat.")
    evaluation: InputUri = Field(description="Their evaluation on the validation part; it steers the search.")
    families: list[str] = Field(
        default_factory=list, max_length=50, description="Families to search; those of the baseline when empty."
    )
    space: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="By family and hyper-parameter: a value that fixes it, or a mapping: low, high, log, choices.",
    )
    strategy: dict[str, Any] = Field(
        default_factory=lambda: {"type": "tpe"}, description="How points are proposed: `type` and its settings."
    )
    trials: int = Field(default=24, ge=1, le=100_000, description="How many trials in all.")
    rounds: int = Field(default=2, ge=1, le=1000, description="In how many rounds; each learns from those before it.")
    metric: str = Field(default="auc", description="The metric on the validation part that decides.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of everything random.")
    drop_behind: float | None = Field(
        default=0.1, ge=0, description="Families whose first result is further behind the best are not searched."
    )
    max_minutes: float | None = Field(
        default=None,
        gt=0,
        description="Begin no trial later than this after the first plan. What is found then depends on the machine's "
        "speed; the result says so in `stopped_early`.",
    )
    workers: Annotated[int, OUTSIDE_KEY] = Field(default=2, ge=1, le=256, description="How many tasks share a round.")

    @field_validator("metric")
    @classmethod
    def _metric_is_known(cls, metric: str) -> str:
        METRICS.load(metric)
        return metric

    @field_validator("strategy")
    @classmethod
    def _strategy_is_known(cls, strategy: dict[str, Any]) -> dict[str, Any]:
        backend_of(SEARCHES, strategy)
        return strategy

    @field_validator("families", "space")
    @classmethod
    def _families_are_known(cls, families: Any) -> Any:
        for family in families:
            MODELS.load(family)
        return families


class OptimizeResult(StageResult):
    """What was found."""

    best: dict[str, Any] = Field(description="The best model: name, family, settings, metrics on validation.")
    improved: float = Field(description="By how much it beats the best baseline, in units of the metric.")
    trials: dict[str, int] = Field(description="Trials by how they ended: complete, failed.")
    stopped_early: bool = Field(description="Whether the time budget ended the search before its last trial.")
    advice: list[str] = Field(description="Why which family was searched, and what to try next.")
    study: str = Field(description="Name of the study in the database.")


class Assignment(TypedDict):
    """One worker's share of a round."""

    study: str
    round: int
    numbers: list[int]


class WorkSummary(TypedDict):
    """What one worker did."""

    study: str
    round: int
    complete: int
    failed: int
    best: float | None


def plan(config: OptimizeConfig, deps: Deps, round_index: int) -> list[Assignment]:
    """Ask for the trials of a round (from 0) and deal them to `config.workers` hands.

    Asking again gives the same trials. Nothing is dealt where the search is published already, or its time is up.
    """
    key = STAGE.key(config, deps)
    if round_index >= config.rounds or find_manifest(deps.store, STAGE.folder(key, deps)) is not None:
        return []
    with _searching(config, deps.with_purpose("optimize"), key) as found:
        numbers = found.search.plan(round_index)
    return [Assignment(study=key, round=round_index, numbers=hand) for hand in share_out(numbers, config.workers)]


def work(config: OptimizeConfig, deps: Deps, assignment: Assignment) -> WorkSummary:
    """Try the trials of `assignment` that are not finished; a retry goes on with the same numbers.

    Raises
    ------
    ConfigError
        The configuration is not the one that the assignment was planned with.
    """
    key = STAGE.key(config, deps)
    if assignment["study"] != key:
        raise ConfigError(
            f"The assignment belongs to the study {assignment['study'][:16]}, the configuration to {key[:16]}",
            expected="the configuration and the inputs that the round was planned with",
        )
    with _searching(config, deps.with_purpose("optimize"), key) as found:
        with sharing_cores(config.workers):
            trials = found.search.work(assignment["numbers"])
        best = found.search.rounds.best(trials)
    return WorkSummary(
        study=key,
        round=assignment["round"],
        complete=sum(trial.state == "complete" for trial in trials),
        failed=sum(trial.state == "failed" for trial in trials),
        best=best.score if best else None,
    )


@dataclass(frozen=True)
class _Found:
    search: Search
    artifact: Artifact
    baseline: Candidates
    scores: dict[str, float]


@contextlib.contextmanager
def _searching(config: OptimizeConfig, deps: Deps, key: str) -> Iterator[_Found]:
    """Open everything that the search needs; data is read when the first trial is fitted."""
    artifact = Artifact(config.baseline, deps)
    baseline = load_candidates(artifact)
    scores = _validation_scores(config, deps, baseline)
    known = [Baseline(one.name, one.family, one.settings, scores[one.name]) for one in baseline.candidates]
    maximize = METRICS.load(config.metric).greater_is_better
    steering = steer(known, config.families, metric=config.metric, maximize=maximize, drop_behind=config.drop_behind)
    overrides = {family: values for family, values in config.space.items() if family in steering.families}
    space = build_space(steering.families, overrides)
    strategy, settings = backend_of(SEARCHES, config.strategy)
    rounds = Rounds(
        space=space,
        strategy=strategy(settings),
        trials=config.trials,
        rounds=config.rounds,
        seed=config.seed,
        maximize=maximize,
        known=known_points(known, space),
        advice=steering.advice,
    )
    runner = TrialRunner(
        dataset=open_dataset(config.dataset, deps),
        metric=config.metric,
        seed=config.seed,
        fixed={family: _fixed(config, family, baseline, scores) for family in space},
    )
    with open_study(deps, key, maximize=maximize) as study:
        yield _Found(Search(rounds, runner, study, deps, config.max_minutes), artifact, baseline, scores)


def _validation_scores(config: OptimizeConfig, deps: Deps, baseline: Candidates) -> dict[str, float]:
    """Return each baseline's score; from the evaluation, else from its own metrics, and always on validation."""
    found = Artifact(config.evaluation, deps).manifest.result
    if found.get("split") != "validation":
        raise ConfigError(
            f"The evaluation that steers the search was made on the {found.get('split')!r} part",
            expected="an evaluation on the validation part: a search that sees the test part makes it worthless",
        )
    evaluated = {one["name"]: one["metrics"] for one in found["candidates"]}
    scores = {one.name: {**one.metrics, **evaluated.get(one.name, {})} for one in baseline.candidates}
    if unmeasured := [name for name, metrics in scores.items() if config.metric not in metrics]:
        raise ConfigError(
            f"{', '.join(unmeasured)} has no {config.metric!r}",
            known=scores[unmeasured[0]],
            hint=f"Add {config.metric} to the metrics of the evaluation",
        )
    return {name: metrics[config.metric] for name, metrics in scores.items()}


def _fixed(config: OptimizeConfig, family: str, baseline: Candidates, scores: dict[str, float]) -> dict[str, Any]:
    """Return what is not searched: the best baseline's settings of that family under the configuration's own."""
    same = {one.name: scores[one.name] for one in baseline.candidates if one.family == family}
    settings = baseline.named(best_of(config.metric, same)).settings if same else {}
    return {**settings, **fixed_values(config.space, family)}


def _optimize(config: OptimizeConfig, deps: Deps, output: Output) -> OptimizeResult:
    with _searching(config, deps, output.key) as found:
        trials = found.search.complete()
        kept = _keep_best(config, found, trials, output)
    write_candidates(output, kept.name, [kept])
    documents = [_document(index, trial) for index, trial in enumerate(trials)]
    output.write_file(TRIALS_FILE, json.dumps(documents, indent=1, ensure_ascii=False))
    _track(config, deps, output, trials, kept)
    sign = 1 if found.search.rounds.maximize else -1
    first = found.scores[best_of(config.metric, found.scores)]
    return OptimizeResult(
        best=kept.model_dump(mode="json", include={"name", "family", "settings", "metrics"}),
        improved=sign * (kept.metrics[config.metric] - first),
        trials={state: sum(trial.state == state for trial in trials) for state in ("complete", "failed")},
        stopped_early=len(trials) < config.trials or any(_ran_out_of_time(trial) for trial in trials),
        advice=found.search.rounds.advice,
        study=output.key,
    )


def _keep_best(config: OptimizeConfig, found: _Found, trials: list[Trial], output: Output) -> Candidate:
    """Write the best model into `output`: the best trial, fitted again, or the baseline that no trial beats."""
    best = found.search.rounds.best(trials)
    if best is None and trials and not any(_ran_out_of_time(trial) for trial in trials):
        raise ConfigError(
            f"All {len(trials)} trials failed; the first one: {trials[0].outcome.get('reason')}",
            hint="Change the space, or leave out the families that cannot take these features",
        )
    baseline = found.baseline.named(best_of(config.metric, found.scores))
    sign = 1 if found.search.rounds.maximize else -1
    runner = found.search.runner
    if best is not None and best.score is not None and sign * (best.score - found.scores[baseline.name]) > 0:
        spec = runner.spec(best.proposal, f"{best.proposal.family}_optimized")
        model, metrics = runner.fit(spec)
        return save_candidate(output, spec, model, seed=config.seed, matrix=runner.train, metrics=metrics)
    spec = runner.spec(Proposal(baseline.family, baseline.settings), baseline.name)
    model = load_model(found.artifact, baseline)
    return save_candidate(output, spec, model, seed=baseline.seed, matrix=runner.validation, metrics=baseline.metrics)


def _ran_out_of_time(trial: Trial) -> bool:
    return bool(trial.outcome.get("reason") == OUT_OF_TIME)


def _document(index: int, trial: Trial) -> dict[str, Any]:
    """Return what ``trials.json`` says of a trial: nothing that depends on the clock or on who worked."""
    return {
        "trial": index,
        "round": trial.round,
        "family": trial.proposal.family,
        "params": trial.proposal.params,
        "state": trial.state,
        "score": trial.score,
        "metrics": trial.outcome.get("metrics", {}),
        "reason": trial.outcome.get("reason"),
    }


def _track(config: OptimizeConfig, deps: Deps, output: Output, trials: list[Trial], kept: Candidate) -> None:
    """Record the search in one run: each trial's score as a step, and what is best."""
    params = {
        "best": kept.name,
        "family": kept.family,
        "trials": config.trials,
        "rounds": config.rounds,
        **kept.settings,
    }
    with tracker_of(deps).run("optimize", key=output.key, params=params, tags={"aimass.stage": "optimize"}) as run:
        for index, trial in enumerate(trials):
            if trial.score is not None:
                run.log_metrics({f"trial_{config.metric}": trial.score}, step=index)
        run.log_metrics(kept.metrics)


STAGE = Stage(
    name="optimize",
    config=OptimizeConfig,
    result=OptimizeResult,
    code_version=1,
    body=_optimize,
    modules=("polars", "optuna", "sklearn.metrics", "lightgbm", "mlflow", "skops.io"),
)
run = STAGE.run

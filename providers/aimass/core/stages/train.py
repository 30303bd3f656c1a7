"""train: fit each candidate on the training part, and follow it in the tracker while it is being fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.core.evaluation import DEFAULT_METRICS, METRICS, best_of, measure
from aimass.core.evaluation.base import Scored
from aimass.core.matrix import Matrix, load_matrix
from aimass.core.models import DEFAULT_MODELS
from aimass.core.models.candidates import (
    Candidate,
    CandidateSpec,
    CandidateSummary,
    check_matrix,
    parse_candidates,
    save_candidate,
    write_candidates,
)
from aimass.core.models.checkpoints import drop_checkpoints, take_over, write_checkpoint
from aimass.core.progress import ProgressEvent
from aimass.core.settings import InputUri
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult
from aimass.core.tracking import tracker_of
from aimass.core.tracking.base import TrackedRun


class TrainConfig(StageConfig):
    """What to fit, and on what."""

    dataset: InputUri = Field(description="The featurize stage's dataset.")
    models: list[dict[str, Any]] = Field(
        default_factory=lambda: [{"type": name} for name in DEFAULT_MODELS],
        min_length=1,
        max_length=50,
        description="The candidates: mappings with `type` (the family), optionally `name`, and hyper-parameters.",
    )
    metric: str = Field(default="auc", description="The metric on the validation part that decides which is best.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of everything random.")

    @field_validator("models")
    @classmethod
    def _models_are_known(cls, models: list[dict[str, Any]]) -> list[dict[str, Any]]:
        parse_candidates(models)
        return models

    @field_validator("metric")
    @classmethod
    def _metric_is_known(cls, metric: str) -> str:
        METRICS.load(metric)
        return metric


class TrainResult(StageResult):
    """What was fitted."""

    candidates: list[CandidateSummary] = Field(description="The candidates with their metrics on validation.")
    best: str = Field(description="Name of the best one.")
    run_urls: dict[str, str] = Field(description="Where each candidate can be followed in the tracker.")


@dataclass(frozen=True)
class _Parts:
    train: Matrix
    validation: Matrix


def _train(config: TrainConfig, deps: Deps, output: Output) -> TrainResult:
    specs = parse_candidates(config.models)
    families = [spec.family for spec in specs]
    dataset = open_dataset(config.dataset, deps)
    parts = _Parts(load_matrix(dataset, "train"), load_matrix(dataset, "validation"))
    check_matrix(parts.train, "training", families)
    check_matrix(parts.validation, "validation", families)
    tracker = tracker_of(deps)
    candidates: list[Candidate] = []
    run_urls: dict[str, str] = {}
    for spec in specs:
        params = {"family": spec.family, "seed": config.seed, **spec.settings.model_dump(mode="json")}
        tags = {"aimass.stage": "train", "aimass.candidate": spec.name}
        with tracker.run(f"train {spec.name}", key=f"{output.key}/{spec.name}", params=params, tags=tags) as run:
            done = take_over(deps, output, spec.name)
            candidates.append(done or _fit(spec, parts, config.seed, deps, output, run))
            run.log_metrics(candidates[-1].metrics)
            run_urls[spec.name] = run.url
        deps.failpoints.hit("candidate_done")
    best = best_of(config.metric, {item.name: item.metrics[config.metric] for item in candidates})
    write_candidates(output, best, candidates)
    drop_checkpoints(deps, output, candidates)
    summaries = [CandidateSummary(name=item.name, family=item.family, metrics=item.metrics) for item in candidates]
    return TrainResult(candidates=summaries, best=best, run_urls=run_urls)


def _fit(spec: CandidateSpec, parts: _Parts, seed: int, deps: Deps, output: Output, run: TrackedRun) -> Candidate:
    """Fit one candidate, save it, and return its description."""
    total = getattr(spec.settings, "n_estimators", None)

    def on_step(step: int, metrics: dict[str, float]) -> None:
        run.log_metrics(metrics, step=step)
        figures = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        deps.progress.report(ProgressEvent(f"fitting {spec.name}", step, total, "trees", figures))

    deps.progress.report(ProgressEvent(f"fitting {spec.name}", message=f"{len(parts.train.y):,} rows"))
    deps.failpoints.hit("before_fit")
    model = spec.build()
    model.fit(parts.train, parts.validation, seed=seed, on_step=on_step)
    deps.failpoints.hit("fitted")
    scored = Scored(parts.validation.y, model.predict_proba(parts.validation.X))
    metrics = measure(DEFAULT_METRICS, scored)
    candidate = save_candidate(output, spec, model, seed=seed, matrix=parts.train, metrics=metrics)
    write_checkpoint(deps, output, candidate)
    return candidate


STAGE = Stage(
    name="train",
    config=TrainConfig,
    result=TrainResult,
    code_version=1,
    body=_train,
    modules=("polars", "sklearn.metrics", "lightgbm", "mlflow", "skops.io"),
)
run = STAGE.run

"""evaluate: measure the candidates on the validation part, or the best one on the test part."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from aimass.core.artifacts import Artifact
from aimass.core.datasets import Dataset, open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import SchemaMismatchError
from aimass.core.evaluation import DEFAULT_METRICS, METRICS
from aimass.core.evaluation.assess import assess, cautions, measured_auc, ranked_importance
from aimass.core.evaluation.base import Scored
from aimass.core.evaluation.curves import ThresholdRule, choose_threshold
from aimass.core.evaluation.document import CandidateEvaluation, Caution, Evaluation
from aimass.core.evaluation.report import draw_plots, report_html
from aimass.core.matrix import Matrix, load_matrix
from aimass.core.models.base import ModelFamily
from aimass.core.models.candidates import (
    Candidate,
    Candidates,
    CandidateSummary,
    check_matrix,
    load_candidates,
    load_model,
)
from aimass.core.progress import ProgressEvent
from aimass.core.reports import write_report
from aimass.core.settings import InputUri
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult
from aimass.core.texts import say

DOCUMENT = "evaluation.json"


class EvaluateConfig(StageConfig):
    """What to measure, and on which part."""

    dataset: InputUri = Field(description="The featurize stage's dataset.")
    model: InputUri = Field(description="The artifact of train or optimize.")
    split: Literal["validation", "test"] = Field(
        default="validation",
        description="validation compares all candidates; test measures the best one, and is read at no other time.",
    )
    metrics: list[str] = Field(
        default=list(DEFAULT_METRICS), min_length=1, description="The metrics, in the order of the report."
    )
    threshold: ThresholdRule | float = Field(
        default="best_f1",
        description="A probability between 0 and 1, or the rule that picks one on the validation part (never on test).",
    )

    @field_validator("metrics")
    @classmethod
    def _metrics_are_known(cls, metrics: list[str]) -> list[str]:
        for name in metrics:
            METRICS.load(name)
        return list(dict.fromkeys(metrics))

    @field_validator("threshold")
    @classmethod
    def _threshold_is_a_probability(cls, threshold: ThresholdRule | float) -> ThresholdRule | float:
        if isinstance(threshold, float) and not 0 < threshold < 1:
            raise ValueError("a number must lie between 0 and 1")
        return threshold


class EvaluateResult(StageResult):
    """How good the candidates are."""

    split: str = Field(description="The part that was scored.")
    candidates: list[CandidateSummary] = Field(description="The candidates with their metrics.")
    best: str = Field(description="Name of the candidate that is best on validation.")
    threshold: float = Field(description="Its threshold, chosen on validation.")
    warnings: list[str] = Field(description="What to know before trusting the figures.")
    report: str = Field(description="URI of the HTML report.")


def _evaluate(config: EvaluateConfig, deps: Deps, output: Output) -> EvaluateResult:
    artifact = Artifact(config.model, deps)
    found = load_candidates(artifact)
    dataset = open_dataset(config.dataset, deps)
    validation = load_matrix(dataset, "validation")
    measured = load_matrix(dataset, "test") if config.split == "test" else validation
    chosen = [found.named(found.best)] if config.split == "test" else found.candidates
    check_matrix(validation, "validation", [item.family for item in chosen])
    check_matrix(measured, config.split, [item.family for item in chosen])
    evaluations = []
    for index, candidate in enumerate(chosen):
        _check_fit(candidate, measured, dataset)
        model = load_model(artifact, candidate)
        evaluations.append(_measure(candidate, model, config, validation, measured))
        deps.progress.report(ProgressEvent("scoring", index + 1, len(chosen), "candidates", candidate.name))
    document = _document(config, found, measured, evaluations)
    output.write_file(DOCUMENT, document.model_dump_json(indent=1))
    title = say("Evaluation of {project}", project=deps.project)
    plots = draw_plots(document)
    report = write_report(output, lambda: report_html(document, plots, title=title))
    return EvaluateResult(
        split=config.split,
        candidates=[CandidateSummary(name=item.name, family=item.family, metrics=item.metrics) for item in evaluations],
        best=found.best,
        threshold=document.named(found.best).threshold,
        warnings=[caution.text for caution in document.warnings],
        report=report,
    )


def _measure(
    candidate: Candidate, model: ModelFamily, config: EvaluateConfig, validation: Matrix, measured: Matrix
) -> CandidateEvaluation:
    """Score one candidate; its threshold comes from the validation part whatever part is measured."""
    on_validation = Scored(validation.y, model.predict_proba(validation.X))
    threshold = choose_threshold(config.threshold, on_validation)
    probability = on_validation.probability if measured is validation else model.predict_proba(measured.X)
    return assess(
        candidate.name,
        candidate.family,
        Scored(measured.y, probability, threshold),
        metrics=config.metrics,
        importance=ranked_importance(measured.names, model.importance()),
    )


def _document(
    config: EvaluateConfig, found: Candidates, measured: Matrix, evaluations: list[CandidateEvaluation]
) -> Evaluation:
    best = next(item for item in evaluations if item.name == found.best)
    validation_auc = found.named(found.best).metrics.get("auc", measured_auc(best))
    warnings: list[Caution] = cautions(best, split=config.split, validation_auc=validation_auc)
    return Evaluation(
        split=config.split,
        rows=len(measured.y),
        positives=int(measured.y.sum()),
        classes=measured.classes,
        best=found.best,
        threshold_rule=config.threshold,
        candidates=evaluations,
        warnings=warnings,
    )


def _check_fit(candidate: Candidate, matrix: Matrix, dataset: Dataset) -> None:
    if candidate.features != len(matrix.names) or candidate.classes != matrix.classes:
        raise SchemaMismatchError(
            f"The dataset {dataset.uri} has {len(matrix.names)} features and the classes {', '.join(matrix.classes)}",
            expected=f"{candidate.features} features and the classes {', '.join(candidate.classes)}, "
            f"on which {candidate.name!r} was fitted",
            hint="Evaluate a model on the output of the featurize run that it was trained on",
        )


STAGE = Stage(
    name="evaluate",
    config=EvaluateConfig,
    result=EvaluateResult,
    code_version=2,
    body=_evaluate,
    modules=("polars", "sklearn.metrics", "lightgbm", "matplotlib.figure", "skops.io", "aimass.core.reports"),
)
run = STAGE.run

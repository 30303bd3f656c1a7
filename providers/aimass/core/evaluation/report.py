"""The evaluation as a page: warnings first, then figures, curves, thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aimass.core.evaluation import METRICS
from aimass.core.evaluation.document import CandidateEvaluation, Evaluation
from aimass.core.reports import BLUE, CYCLE, SOFT, new_figure, render, svg

if TYPE_CHECKING:
    from markupsafe import Markup

MAX_CURVES = 8
MAX_FEATURES = 25


def report_html(evaluation: Evaluation, *, title: str) -> str:
    """Return the page for `evaluation`."""
    best = evaluation.named(evaluation.best)
    # The best one is drawn last, above the others.
    others = [item for item in evaluation.candidates if item.name != best.name]
    shown = [*others[: MAX_CURVES - 1], best]
    names = list(best.metrics)
    metrics = [METRICS.load(name) for name in names]
    return render(
        "evaluation.html",
        title=title,
        subtitle=f"{evaluation.split} part",
        evaluation=evaluation,
        best=best,
        metrics=list(zip(names, metrics, strict=True)),
        leaders=_leaders(evaluation, names),
        share=evaluation.positives / evaluation.rows,
        max_features=MAX_FEATURES,
        roc=_roc(shown),
        precision_recall=_precision_recall(shown, evaluation.positives / evaluation.rows),
        calibration=_calibration(best),
        trade_off=_trade_off(best),
    )


def _leaders(evaluation: Evaluation, names: list[str]) -> dict[str, str]:
    """Return the name of the leading candidate by metric."""
    leaders = {}
    for name in names:
        sign = 1 if METRICS.load(name).greater_is_better else -1
        leaders[name] = max(evaluation.candidates, key=lambda item: sign * item.metrics[name]).name
    return leaders


def _roc(candidates: list[CandidateEvaluation]) -> Markup:
    figure, axes = _square()
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle="--")
    for candidate, style in _styled(candidates):
        axes.plot(candidate.roc.x, candidate.roc.y, label=candidate.name, **style)
    axes.set(xlabel="false positive rate", ylabel="true positive rate (recall)")
    axes.legend(loc="lower right")
    return svg(figure, title="ROC curves")


def _precision_recall(candidates: list[CandidateEvaluation], share: float) -> Markup:
    figure, axes = _square()
    axes.axhline(share, color=SOFT, linewidth=0.8, linestyle="--")
    for candidate, style in _styled(candidates):
        curve = candidate.precision_recall
        axes.plot(curve.x, curve.y, label=candidate.name, **style)
    axes.set(xlabel="recall", ylabel="precision")
    axes.legend(loc="upper right")
    return svg(figure, title="Precision-recall curves")


def _calibration(best: CandidateEvaluation) -> Markup:
    figure, axes = _square()
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle="--")
    predicted = [item.predicted for item in best.calibration]
    observed = [item.observed for item in best.calibration]
    axes.plot(predicted, observed, color=BLUE, marker="o", markersize=4)
    axes.set(xlabel="mean predicted probability", ylabel="share of positive rows")
    return svg(figure, title="Calibration")


def _trade_off(best: CandidateEvaluation) -> Markup:
    figure, axes = _square()
    thresholds = [row.threshold for row in best.thresholds]
    for name, color in zip(("precision", "recall", "f1"), CYCLE, strict=False):
        values = [getattr(row, name) for row in best.thresholds]
        axes.plot(thresholds, [float("nan") if value is None else value for value in values], color=color, label=name)
    axes.axvline(best.threshold, color=SOFT, linewidth=0.8, linestyle="--")
    axes.set(xlabel="threshold")
    axes.legend(loc="upper right")
    return svg(figure, title="Precision, recall and F1 by threshold")


def _square() -> tuple[Any, Any]:
    figure, axes = new_figure(width_in=4.6, height_in=3.7)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    return figure, axes


def _styled(candidates: list[CandidateEvaluation]) -> list[tuple[CandidateEvaluation, dict[str, Any]]]:
    """Give the best candidate (the last) the first colour and a thicker line, the others the following colours."""
    others = [
        (item, {"color": CYCLE[1 + index % (len(CYCLE) - 1)], "linewidth": 1.1})
        for index, item in enumerate(candidates[:-1])
    ]
    return [*others, (candidates[-1], {"color": CYCLE[0], "linewidth": 2.0})]

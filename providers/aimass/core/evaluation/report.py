"""The evaluation as a page: warnings first, then figures, curves, thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aimass.core.evaluation import METRICS
from aimass.core.evaluation.document import CandidateEvaluation, Evaluation
from aimass.core.reports import BLUE, CYCLE, SOFT, Plot, new_figure, render, short, svg
from aimass.core.texts import Text, say

MAX_CURVES = 8
MAX_FEATURES = 25
SUBTITLES = {"validation": say("validation part"), "test": say("test part")}
RULES: dict[str | float, Text] = {
    "best_f1": say("chosen so that F1 is best"),
    "best_accuracy": say("chosen so that accuracy is best"),
    "best_youden": say("chosen so that recall on both classes together is best (Youden)"),
}


def draw_plots(evaluation: Evaluation) -> dict[str, Plot]:
    """Return the page's plots by name: they are drawn once, whatever the number of languages."""
    best = evaluation.named(evaluation.best)
    # The best one is drawn last, above the others.
    others = [item for item in evaluation.candidates if item.name != best.name]
    shown = [*others[: MAX_CURVES - 1], best]
    return {
        "roc": _roc(shown),
        "precision_recall": _precision_recall(shown, evaluation.positives / evaluation.rows),
        "calibration": _calibration(best),
        "trade_off": _trade_off(best),
    }


def report_html(evaluation: Evaluation, plots: Mapping[str, Plot], *, title: Text) -> str:
    """Return the page for `evaluation` with its `plots`."""
    best = evaluation.named(evaluation.best)
    names = list(best.metrics)
    return render(
        "evaluation.html",
        title=title,
        subtitle=SUBTITLES[evaluation.split],
        evaluation=evaluation,
        cautions=[{"level": item.level, "text": item.said or item.text} for item in evaluation.warnings],
        best=best,
        metrics=[(name, say(METRICS.load(name).title), say(METRICS.load(name).explanation)) for name in names],
        leaders=_leaders(evaluation, names),
        share=evaluation.positives / evaluation.rows,
        rule=RULES.get(evaluation.threshold_rule) or say("set to {threshold}", threshold=evaluation.threshold_rule),
        features=_features(best),
        plots=plots,
    )


def _features(best: CandidateEvaluation) -> list[dict[str, Any]]:
    top = (best.importance[0].share if best.importance else 0) or 1
    return [
        {"label": short(item.feature), "share": item.share, "width": 100 * item.share / top}
        for item in best.importance[:MAX_FEATURES]
    ]


def _leaders(evaluation: Evaluation, names: list[str]) -> dict[str, str]:
    """Return the name of the leading candidate by metric."""
    leaders = {}
    for name in names:
        sign = 1 if METRICS.load(name).greater_is_better else -1
        leaders[name] = max(evaluation.candidates, key=lambda item: sign * item.metrics[name]).name
    return leaders


def _roc(candidates: list[CandidateEvaluation]) -> Plot:
    figure, axes = _square()
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle="--")
    for candidate, style in _styled(candidates):
        axes.plot(candidate.roc.x, candidate.roc.y, label=candidate.name, **style)
    labels = _name(axes, x=say("false positive rate"), y=say("true positive rate (recall)"))
    axes.legend(loc="lower right")
    return svg(figure, title=say("ROC curves"), labels=labels)


def _precision_recall(candidates: list[CandidateEvaluation], share: float) -> Plot:
    figure, axes = _square()
    axes.axhline(share, color=SOFT, linewidth=0.8, linestyle="--")
    for candidate, style in _styled(candidates):
        curve = candidate.precision_recall
        axes.plot(curve.x, curve.y, label=candidate.name, **style)
    labels = _name(axes, x=say("recall"), y=say("precision"))
    axes.legend(loc="upper right")
    return svg(figure, title=say("Precision-recall curves"), labels=labels)


def _calibration(best: CandidateEvaluation) -> Plot:
    figure, axes = _square()
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle="--")
    predicted = [item.predicted for item in best.calibration]
    observed = [item.observed for item in best.calibration]
    axes.plot(predicted, observed, color=BLUE, marker="o", markersize=4)
    labels = _name(axes, x=say("mean predicted probability"), y=say("share of positive rows"))
    return svg(figure, title=say("Calibration"), labels=labels)


def _trade_off(best: CandidateEvaluation) -> Plot:
    figure, axes = _square()
    thresholds = [row.threshold for row in best.thresholds]
    lines = {"precision": say("precision"), "recall": say("recall"), "f1": say("F1")}
    for (name, label), color in zip(lines.items(), CYCLE, strict=False):
        values = [getattr(row, name) for row in best.thresholds]
        gaps = [float("nan") if value is None else value for value in values]
        axes.plot(thresholds, gaps, color=color, label=str(label))
    axes.axvline(best.threshold, color=SOFT, linewidth=0.8, linestyle="--")
    labels = [*lines.values(), *_name(axes, x=say("threshold"))]
    axes.legend(loc="upper right")
    return svg(figure, title=say("Precision, recall and F1 by threshold"), labels=labels)


def _square() -> tuple[Any, Any]:
    figure, axes = new_figure(width_in=4.6, height_in=3.7)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    return figure, axes


def _name(axes: Any, **names: Text) -> list[Text]:
    """Write the names of the axes; return them."""
    axes.set(**{f"{axis}label": str(name) for axis, name in names.items()})
    return list(names.values())


def _styled(candidates: list[CandidateEvaluation]) -> list[tuple[CandidateEvaluation, dict[str, Any]]]:
    """Give the best candidate (the last) the first colour and a thicker line, the others the following colours."""
    others = [
        (item, {"color": CYCLE[1 + index % (len(CYCLE) - 1)], "linewidth": 1.1})
        for index, item in enumerate(candidates[:-1])
    ]
    return [*others, (candidates[-1], {"color": CYCLE[0], "linewidth": 2.0})]

"""What a run learned: its candidates compared, advice, and how the metrics moved over the last runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aimass.ui.stages import warnings_of

if TYPE_CHECKING:
    from aimass.core.reports.plots import Plot

LOWER_IS_BETTER = ("log_loss", "brier")
DRAWN_METRICS = 3


@dataclass(frozen=True)
class Candidate:
    """One model that was fitted.

    Attributes
    ----------
    origin : str
        ``train`` or ``search``.
    metrics : dict of str to float
        On the validation part.
    share : float
        Its first metric between the worst (0) and the best (1) there can be, for a bar.
    """

    name: str
    family: str
    origin: str
    metrics: dict[str, float]
    share: float
    leads: bool


@dataclass(frozen=True)
class Measured:
    """What one run measured on the test part, and the version that it released."""

    run_id: str
    at: datetime
    metrics: dict[str, float]
    version: str
    alias: str


def candidates_of(results: Mapping[str, Mapping[str, Any]]) -> list[Candidate]:
    """Return the trained models and the search's best one, the leader first; `results` by task id."""
    trained = _listed(results.get("train", {}).get("candidates"))
    found = [(*_named(one), "train", _metrics(one)) for one in trained]
    best = results.get("optimize", {}).get("best")
    if isinstance(best, Mapping):
        found.append((*_named(best), "search", _metrics(best)))
    found = [one for one in found if one[3]]
    if not found:
        return []
    metric = next(iter(found[0][3]))
    sign = -1 if metric in LOWER_IS_BETTER else 1
    scores = [sign * one[3].get(metric, float("-inf") * sign) for one in found]
    # A search that has beaten nobody returns the best trained model: that one leads.
    leader = scores.index(max(scores))
    ordered = sorted(range(len(found)), key=lambda place: -scores[place])
    return [
        Candidate(*found[place], share=_share(metric, found[place][3].get(metric)), leads=place == leader)
        for place in ordered
    ]


def advice_of(results: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Return what to watch out for, and what the search found and advises."""
    warnings = [
        text
        for task_id in ("explore", "clean", "evaluate_best", "release")
        for text in warnings_of(results.get(task_id, {}))
    ]
    advice = results.get("optimize", {}).get("advice")
    return warnings, [str(text) for text in advice] if isinstance(advice, list) else []


def measured(
    runs: Iterable[Any], evaluations: Mapping[str, Mapping[str, Any]], releases: Mapping[str, Mapping[str, Any]]
) -> list[Measured]:
    """Return what the runs measured, in the order of `runs`; those that measured nothing are left out."""
    found = []
    for run in runs:
        evaluation, release = evaluations.get(run.run_id, {}), releases.get(run.run_id, {})
        listed = _listed(evaluation.get("candidates"))
        metrics = next((_metrics(one) for one in listed if one.get("name") == evaluation.get("best")), {})
        if metrics:
            version = str(release.get("version") or "") if release.get("standing") else ""
            found.append(Measured(run.run_id, run.triggered_at, metrics, version, str(release.get("alias") or "")))
    return found


def trend(points: Sequence[Measured], *, title: str, released: str, names: Mapping[str, str]) -> Plot:
    """Return the curves of the first metrics for which more is better; released versions are marked.

    Parameters
    ----------
    points : sequence of Measured
        The oldest first; two or more.
    title : str
        Read aloud.
    released : str
        The legend's word for the mark.
    names : mapping of str to str
        What the legend calls the metrics.
    """
    from aimass.core.reports import CYCLE, GREEN, new_figure, svg

    drawn = [name for name in points[-1].metrics if name not in LOWER_IS_BETTER][:DRAWN_METRICS]
    figure, axes = new_figure(width_in=7.0, height_in=2.9)
    for name, color in zip(drawn, CYCLE, strict=False):
        values = [point.metrics.get(name, float("nan")) for point in points]
        axes.plot(range(len(points)), values, color=color, marker=".", label=names.get(name, name))
    marked = [place for place, point in enumerate(points) if point.version and drawn]
    if marked:
        heights = [points[place].metrics.get(drawn[0], float("nan")) for place in marked]
        axes.scatter(
            marked, heights, s=52, facecolors="none", edgecolors=GREEN, linewidths=1.8, label=released, zorder=3
        )
        last = marked[-1]
        axes.annotate(
            f"v{points[last].version}", (last, heights[-1]), textcoords="offset points", xytext=(0, 8), ha="center"
        )
    shown = range(0, len(points), -(-len(points) // 8))
    pattern = "%m-%d" if (points[-1].at - points[0].at).days > len(points) // 2 else "%m-%d\n%H:%M"
    axes.set_xticks(list(shown), [points[place].at.strftime(pattern) for place in shown])
    axes.margins(y=0.22)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=DRAWN_METRICS + 1)
    return svg(figure, title=title)


def _listed(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _named(one: Mapping[str, Any]) -> tuple[str, str]:
    return str(one.get("name", "")), str(one.get("family", ""))


def _metrics(one: Mapping[str, Any]) -> dict[str, float]:
    given = one.get("metrics")
    if not isinstance(given, Mapping):
        return {}
    return {str(name): float(value) for name, value in given.items() if isinstance(value, int | float)}


def _share(metric: str, value: float | None) -> float:
    if value is None:
        return 0.0
    bounded = min(1.0, max(0.0, value))
    return 1 - bounded if metric in LOWER_IS_BETTER else bounded

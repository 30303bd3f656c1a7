"""What versions of a model reached, side by side and over time."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from aimass.core.evaluation import METRICS
from aimass.core.release.base import Version
from aimass.core.reports import BLUE, CARD, new_figure, svg
from aimass.core.texts import speaking, translate
from aimass.ui.registered import MAIN_METRICS, best_version, metrics_of

COMPARED_VERSIONS = 6
MOST_METRICS = 40
PLOTTED_VERSIONS = 30


class MetricLine(NamedTuple):
    """One metric of several versions.

    Attributes
    ----------
    name : str
        Its name.
    values : dict of str to float
        By version.
    best : str or None
        The version with the best value.
    """

    name: str
    values: dict[str, float]
    best: str | None


class Comparison(NamedTuple):
    """Metrics of the newest versions, the newest first."""

    versions: list[str]
    lines: list[MetricLine]


class Trend(NamedTuple):
    """One metric over the versions."""

    name: str
    picture: Any


def compared(versions: Sequence[Version]) -> Comparison:
    """Return the metrics of the newest versions."""
    measured = {version.version: metrics_of(version) for version in versions[:COMPARED_VERSIONS]}
    names = list(dict.fromkeys(name for metrics in measured.values() for name in metrics))[:MOST_METRICS]
    lines = []
    for name in names:
        values = {version: metrics[name] for version, metrics in measured.items() if name in metrics}
        lines.append(MetricLine(name, values, best_version(name, values)))
    return Comparison(list(measured), lines)


def trends(versions: Sequence[Version]) -> list[Trend]:
    """Return a plot of each main metric over the versions, oldest first; none where there is but one version."""
    measured = [(version.version, metrics_of(version)) for version in reversed(versions[:PLOTTED_VERSIONS])]
    known = list(dict.fromkeys(name for _, metrics in measured for name in metrics))
    shown = [name for name in MAIN_METRICS if name in known] or known[: len(MAIN_METRICS)]
    points = {name: [(version, metrics[name]) for version, metrics in measured if name in metrics] for name in shown}
    return [Trend(name, _plot(name, tuple(found))) for name, found in points.items() if len(found) > 1]


def explained(metric: str, language: str) -> str:
    """Return what a metric says, in the reader's language; empty where nobody knows it."""
    if metric not in METRICS.names():
        return ""
    with speaking(language):
        return translate(METRICS.load(metric).explanation)


def titled(metric: str, language: str) -> str:
    """Return what people call a metric, in the reader's language; its name where nobody knows it."""
    if metric not in METRICS.names():
        return metric
    with speaking(language):
        return translate(METRICS.load(metric).title)


@functools.lru_cache(maxsize=128)
def _plot(name: str, points: tuple[tuple[str, float], ...]) -> Any:
    """Return the plot; matplotlib takes a third of a second for each, and versions do not change."""
    figure, axes = new_figure(width_in=3.6, height_in=2.2)
    places = range(len(points))
    axes.plot(places, [value for _, value in points], color=BLUE, marker="o", markersize=4, markerfacecolor=CARD)
    step = max(1, len(points) // 8)
    axes.set_xticks(list(places)[::step], [version for version, _ in points][::step])
    axes.margins(y=0.25)
    return svg(figure, title=name)

"""The monitor's page: what moved, how far, how certain that is, and how good the answers were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aimass.core.evaluation import METRICS
from aimass.core.monitoring.log import PROBABILITY
from aimass.core.monitoring.profile import Profile
from aimass.core.monitoring.result import ColumnDrift, MonitorResult, Serving, VersionQuality
from aimass.core.monitoring.sketches import Floats, Sketch, TextSketch
from aimass.core.reports import number, percent, render, short, size
from aimass.core.reports.pairs import Side, bar_pair, curve_pair
from aimass.core.texts import say

if TYPE_CHECKING:
    from markupsafe import Markup

MOST_PICTURES = 12
MOST_BARS = 12
MOST_COLUMNS = 500
TESTS = {
    "distribution": (
        say("distribution"),
        say("Kolmogorov-Smirnov test of the numbers; the effect is the Wasserstein distance in standard deviations."),
    ),
    "shares": (
        say("shares"),
        say("G test of the shares of categories or bins; the effect is the Jensen-Shannon distance, 0 to 1."),
    ),
    "missing": (
        say("missing"),
        say("G test of the share of missing values; the effect is the Jensen-Shannon distance, 0 to 1."),
    ),
}
ANSWERS = {
    "probability": say("probability"),
    "label": say("predicted positive"),
}
THEN, NOW = say("then"), say("now")


def monitor_page(result: MonitorResult, profiles: tuple[Profile, Profile] | None) -> str:
    """Return ``report.html``.

    Parameters
    ----------
    result : MonitorResult
        What was found.
    profiles : (Profile, Profile) or None
        The reference and the window, where they were compared.
    """
    columns = _by_urgency(result)
    answers = [result.drift.probability, result.drift.label] if result.drift else []
    return render(
        "monitor.html",
        title=result.model,
        subtitle=say(
            "{start} to {end} UTC", start=f"{result.start:%Y-%m-%d %H:%M}", end=f"{result.end:%Y-%m-%d %H:%M}"
        ),
        result=result,
        tiles=_tiles(result),
        serving=_serving_tiles(result.serving) if result.serving else [],
        answers=[_line(column) for column in answers],
        columns=[_line(column) for column in columns[:MOST_COLUMNS]],
        left_out=max(0, len(columns) - MOST_COLUMNS),
        pictures=_pictures(result, profiles),
        qualities=[_quality(each) for each in result.quality.versions] if result.quality else [],
        versions=sorted(result.rows_by_version.items(), key=lambda item: -item[1]),
    )


def _by_urgency(result: MonitorResult) -> list[ColumnDrift]:
    return sorted(result.drift.columns, key=_urgency) if result.drift else []


def _urgency(column: ColumnDrift) -> tuple[bool, float, float]:
    return (not column.drifted, -column.effect if column.drifted else column.q, -column.effect)


def _tiles(result: MonitorResult) -> list[dict[str, Any]]:
    rows = {
        "label": say("rows"),
        "value": number(result.rows),
        "tone": "warning" if result.no_data else "",
        "hint": say("Rows that the judged version answered in this window and that are in the log."),
    }
    return [rows, *_drift_tiles(result), *_quality_tiles(result)]


def _drift_tiles(result: MonitorResult) -> list[dict[str, Any]]:
    drift = result.drift
    if drift is None:
        return []
    moved = drift.answers_drifted
    return [
        {
            "label": say("columns that drifted"),
            "value": f"{len(drift.drifted)} / {len(drift.columns)}",
            "tone": "error" if drift.drifted else "good",
            "hint": say(
                "Where nothing drifts, the chance of any alarm in a window is {alpha:.2%}, over all columns together.",
                alpha=drift.alpha,
            ),
        },
        {
            "label": say("answers"),
            "value": say("drifted") if moved else say("as before"),
            "tone": "error" if moved else "good",
            "hint": say("The model's probabilities and labels beside those on held-out rows at the release."),
        },
        {
            "label": say("predicted positive"),
            "value": percent(drift.label.mean),
            "hint": say("At the release it was {share}.", share=percent(drift.label.reference_mean)),
        },
    ]


def _quality_tiles(result: MonitorResult) -> list[dict[str, Any]]:
    judged = result.quality.of(result.version) if result.quality else None
    if judged is None or not judged.figures:
        return []
    first = judged.figures[0]
    then = number(first.at_release) if first.at_release is not None else say("unknown")
    return [
        {
            "label": say(METRICS.load(first.metric).title),
            "value": number(first.value),
            "hint": say(
                "95 % interval {low} to {high}; at the release {then}.",
                low=number(first.low),
                high=number(first.high),
                then=then,
            ),
        }
    ]


def _serving_tiles(serving: Serving) -> list[dict[str, Any]]:
    worst = say("Of the window's measurements the worst, as rules see it.")
    return [
        {
            "label": say("requests"),
            "value": number(serving.requests),
            "hint": say("Answered in this window. Number of servers: {servers}.", servers=serving.servers),
        },
        {
            "label": say("errors"),
            "value": percent(serving.error_rate),
            "tone": "warning" if serving.errors else "",
            "hint": say("{errors:,} requests were answered with an error.", errors=serving.errors),
        },
        {"label": say("median latency"), "value": _milliseconds(serving.p50_ms), "hint": worst},
        {"label": say("99th percentile of the latency"), "value": _milliseconds(serving.p99_ms), "hint": worst},
        {"label": say("processors in use"), "value": number(serving.cpu_share, 2), "hint": worst},
        {"label": say("memory"), "value": size(serving.rss_bytes), "hint": worst},
    ]


def _milliseconds(value: float | None) -> str:
    return f"{number(value, 3)} ms" if value is not None else number(None)


def _line(column: ColumnDrift) -> dict[str, Any]:
    return {
        "name": ANSWERS.get(column.column, short(column.column)),
        "kind": column.kind,
        "drifted": column.drifted,
        "tests": [(*TESTS[test.name], number(test.effect, 3), _chance(test.q), test.alarm) for test in column.tests],
        "means": (number(column.reference_mean), number(column.mean)),
        "missing": (percent(column.reference_missing_share), percent(column.missing_share)),
        "unseen": percent(column.unseen_share) if column.unseen_share is not None else None,
    }


def _chance(q: float) -> str:
    return "< 0.0001" if q < 1e-4 else number(q, 2)


def _quality(judged: VersionQuality) -> dict[str, Any]:
    return {
        "version": judged.version,
        "rows": judged.rows,
        "positives": judged.positives,
        "figures": [
            (
                say(METRICS.load(figure.metric).title),
                say(METRICS.load(figure.metric).explanation),
                number(figure.value),
                f"{number(figure.low)} – {number(figure.high)}",
                number(figure.at_release),
            )
            for figure in judged.figures
        ],
    }


def _pictures(result: MonitorResult, profiles: tuple[Profile, Profile] | None) -> list[tuple[Markup, str]]:
    """Return a picture of the answers and of the columns that moved most, each with its caption."""
    if profiles is None:
        return []
    then, now = profiles
    answers = then.answers[PROBABILITY], now.answers[PROBABILITY]
    drawn = [(_picture(*answers, str(ANSWERS["probability"])), str(ANSWERS["probability"]))]
    for column in [each for each in _by_urgency(result) if each.kind != "date"][: MOST_PICTURES - 1]:
        name = column.column
        drawn.append((_picture(then.columns[name], now.columns[name], name), short(name)))
    return drawn


def _picture(then: Sketch, now: Sketch, name: str) -> Markup:
    """Return the share of numbers below each edge, or the shares of the most frequent values."""
    title = str(say("{name}, then and now", name=short(name)))
    shares = [sketch.bins / max(1, sketch.present) for sketch in (then, now)]
    if isinstance(then, TextSketch):
        shown = np.argsort(-np.maximum(*shares))[:MOST_BARS]
        names = [*then.values, str(say("all others"))]
        return bar_pair([names[index] for index in shown], _sides(*(side[shown] for side in shares)), title=title)
    return curve_pair(then.edges, _sides(*(np.cumsum(side)[:-1] for side in shares)), title=title)


def _sides(then: Floats, now: Floats) -> tuple[Side, Side]:
    return Side(str(THEN), then.tolist()), Side(str(NOW), now.tolist())

"""The figures of a window that rules and sensors look at; what too few rows or labels stand behind has none."""

from __future__ import annotations

from aimass.core.evaluation import METRICS
from aimass.core.monitoring.result import Drift, Quality, QualityFigure


def window_figures(rows: int, drift: Drift | None, quality: Quality | None, version: str | None) -> dict[str, float]:
    """Return the figures of a window, by metric.

    Parameters
    ----------
    rows : int
        Logged rows of `version`.
    drift : Drift or None
        None where there are too few rows.
    quality : Quality or None
        None where no label became known.
    version : str or None
        The version that is judged.
    """
    found = volume_figures(rows, quality)
    if drift is not None:
        found |= {
            "drifted_columns": len(drift.drifted),
            "drifted_share": len(drift.drifted) / max(1, len(drift.columns)),
            "largest_effect": max((column.effect for column in drift.columns), default=0.0),
            "score_drift": drift.probability.effect,
            "score_drifted": float(drift.answers_drifted),
            "mean_probability": drift.probability.mean or 0.0,
            "positive_share": drift.label.mean or 0.0,
        }
    return found | quality_figures(quality, version)


def volume_figures(rows: int, quality: Quality | None) -> dict[str, float]:
    """Return how many rows and labels there are: figures that every window has, however few."""
    found: dict[str, float] = {"rows": rows}
    if quality is not None:
        found["labels"] = quality.labels
        if quality.delay_p50_s is not None:
            found["label_delay_s"] = quality.delay_p50_s
    return found


def quality_figures(quality: Quality | None, version: str | None) -> dict[str, float]:
    """Return each quality metric M of `version` as M, M_low, M_high and M_loss; none where it has too few labels."""
    judged = quality.of(version) if quality is not None else None
    found: dict[str, float] = {}
    for figure in judged.figures if judged is not None else ():
        name, worse = figure.metric, how_much_worse(figure)
        found |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
        if worse is not None:
            found[f"{name}_loss"] = worse
    return found


def how_much_worse(figure: QualityFigure) -> float | None:
    """Return by how much a metric is worse than at release, below 0 where it is better; None where that is unknown."""
    if figure.at_release is None:
        return None
    worse = figure.at_release - figure.value
    return worse if METRICS.load(figure.metric).greater_is_better else -worse

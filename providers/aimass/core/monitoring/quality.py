"""How good answers were, once their labels are known: metrics with confidence intervals, by version."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import polars as pl

from aimass.core.evaluation import METRICS
from aimass.core.evaluation.base import Metric, Scored
from aimass.core.monitoring.log import AT, PROBABILITY, VERSION
from aimass.core.monitoring.result import Quality, QualityFigure, VersionQuality
from aimass.core.monitoring.settings import QualitySettings
from aimass.core.monitoring.sketches import Floats

TRUTH = "truth"
KNOWN_AT = "known_at"
RESAMPLES = 200
RESAMPLED_ROWS = 10_000
NORMAL_95 = 1.959964


class Released:
    """What is known of a version from its release.

    Parameters
    ----------
    threshold : float
        From which probability on a row is predicted positive.
    metrics : mapping of str to float
        Its metrics on the test part.
    """

    def __init__(self, threshold: float = 0.5, metrics: Mapping[str, float] | None = None) -> None:
        self.threshold = threshold
        self.metrics = dict(metrics or {})


def assess(
    rows: pl.DataFrame, labels: int, settings: QualitySettings, released: Mapping[str, Released], *, seed: int = 0
) -> Quality:
    """Return the quality of labelled rows.

    Parameters
    ----------
    rows : DataFrame
        Columns ``__version``, ``__probability``, ``__at``, ``truth`` (0 or 1) and ``known_at``.
    labels : int
        Labels that became known, with or without a row.
    settings : QualitySettings
        Which metrics, and from how many labels on.
    released : mapping of str to Released
        By version.
    seed : int
        Of the bootstrap.
    """
    delay = (rows[KNOWN_AT] - rows[AT]).dt.total_microseconds() / 1e6
    versions = []
    for (version,), group in rows.group_by(VERSION, maintain_order=True):
        y = group[TRUTH].to_numpy().astype(np.int8)
        known = released.get(str(version), Released())
        scored = Scored(y, group[PROBABILITY].cast(pl.Float64).to_numpy(), known.threshold)
        judged = len(y) >= settings.min_labels and 0 < y.sum() < len(y)
        figures = [_figure(name, scored, known.metrics, seed) for name in settings.metrics] if judged else []
        versions.append(VersionQuality(version=str(version), rows=len(y), positives=int(y.sum()), figures=figures))
    return Quality(
        labels=labels,
        matched=rows.height,
        delay_p50_s=_quantile(delay, 0.5),
        delay_p90_s=_quantile(delay, 0.9),
        versions=sorted(versions, key=lambda each: -each.rows),
    )


def _figure(name: str, scored: Scored, at_release: Mapping[str, float], seed: int) -> QualityFigure:
    metric = METRICS.load(name)()
    value = metric(scored)
    low, high = auc_interval(scored, value) if name == "auc" else bootstrap_interval(metric, scored, value, seed)
    return QualityFigure(metric=name, value=value, low=low, high=high, at_release=at_release.get(name))


def auc_interval(scored: Scored, auc: float) -> tuple[float, float]:
    """Return the 95 % interval of the AUC by DeLong, DeLong and Clarke-Pearson (1988), on the logit scale.

    Where the classes are told apart without an error the variance is 0; then one more pair in the wrong order gives it
    (a half of one, by Hanley and McNeil).
    """
    positive = scored.y == 1
    ranks = _ranks(scored.probability)
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    above = (ranks[positive] - _ranks(scored.probability[positive])) / n_neg
    below = 1 - (ranks[~positive] - _ranks(scored.probability[~positive])) / n_pos
    variance = _variance(above) / n_pos + _variance(below) / n_neg
    half_pair = 0.5 / (n_pos * n_neg)
    inner = min(max(auc, half_pair), 1 - half_pair)
    variance = max(variance, inner * (1 - inner) / min(n_pos, n_neg) * (inner != auc))
    width = NORMAL_95 * math.sqrt(variance) / (inner * (1 - inner))
    logit = math.log(inner / (1 - inner))
    return 1 / (1 + math.exp(width - logit)), 1 / (1 + math.exp(-width - logit))


def bootstrap_interval(metric: Metric, scored: Scored, value: float, seed: int) -> tuple[float, float]:
    """Return the 95 % interval by resampling rows.

    Of more than 10,000 rows so many are resampled, and the interval is narrowed by the square root of their share.
    """
    generator = np.random.default_rng(seed)
    rows = len(scored.y)
    sample = scored if rows <= RESAMPLED_ROWS else _taken(scored, generator.choice(rows, RESAMPLED_ROWS, replace=False))
    size = len(sample.y)
    drawn = (_taken(sample, generator.integers(size, size=size)) for _ in range(RESAMPLES))
    values = [metric(each) for each in drawn if 0 < each.y.sum() < size]
    middle = value if size == rows else metric(sample)
    low, high = np.quantile(values, [0.025, 0.975]) if values else (value, value)
    narrow = math.sqrt(size / rows)
    return value + (float(low) - middle) * narrow, value + (float(high) - middle) * narrow


def _taken(scored: Scored, rows: np.ndarray) -> Scored:
    return Scored(scored.y[rows], scored.probability[rows], scored.threshold)


def _ranks(values: Floats) -> Floats:
    """Return ranks from 1 on; equal values share the mean of theirs."""
    ranks: Floats = pl.Series(values).rank("average").cast(pl.Float64).to_numpy()
    return ranks


def _variance(values: Floats) -> float:
    return float(np.var(values, ddof=1)) if len(values) > 1 else 0.0


def _quantile(values: pl.Series, share: float) -> float | None:
    return None if values.is_empty() else float(np.quantile(values.to_numpy(), share))

"""Chances that are true: what a difference is worth that two samples of these sizes show without any drift.

Without drift the window's n values are as good as drawn from the n + m values of window and reference together,
without putting any back. So the null distribution of *any* statistic of the binned counts is found by such draws:
multivariate hypergeometric ones. It holds for ties, discrete columns, rare categories and tiny windows alike, and it
knows that the reference is a sample, too. No distribution is assumed and no threshold depends on n. It takes bins that
were not chosen by the rows that are counted: `profile` chooses them by rows of the reference that it leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from aimass.core.monitoring.sketches import Counts, Floats

ENOUGH = 10
"""Draws at least as extreme as what was seen after which the chance is known well enough (Besag and Clifford, 1991)."""
FIRST_DRAWS = 24
CELLS_AT_ONCE = 2_000_000
MOST_DRAWS = 1_000_000
MOST_ROWS = 500_000_000
"""numpy draws from less than a billion; larger counts are scaled down, which makes chances larger, never smaller."""

Statistic = Callable[[Counts, Counts], Floats]
"""From window counts, shape (n_draws, n_bins), and both sides' counts together, shape (n_bins,): shape (n_draws,)."""


def distance(window: Counts, pooled: Counts) -> Floats:
    """Return the greatest difference of the cumulated shares (Kolmogorov-Smirnov), at the bins' edges."""
    drawn = int(window[0].sum())
    rest = int(pooled.sum()) - drawn
    cumulated = np.cumsum(window, axis=1)
    difference = cumulated * (1 / drawn + 1 / rest) - np.cumsum(pooled) / rest
    return np.asarray(np.abs(difference).max(axis=1))


def g(window: Counts, pooled: Counts) -> Floats:
    """Return the likelihood-ratio statistic of the two-row table: 2 N times the weighted Jensen-Shannon divergence."""
    drawn, total = int(window[0].sum()), int(pooled.sum())
    fixed = _entropy(pooled) + _entropy(np.array([drawn, total - drawn])) - total * math.log(total)
    return np.asarray(2 * (_entropy(window) + _entropy(pooled - window) - fixed))


def p_values(
    reference: Counts, window: Counts, statistics: Sequence[Statistic], *, draws: int, seed: int
) -> list[tuple[float, float]]:
    """Return each statistic with its chance without drift.

    Parameters
    ----------
    reference, window : array, shape (n_bins,)
        Counts by bin; neither side is empty, and at least two bins have values.
    statistics : sequence of callable
        Each greater where the two sides differ more; they share the draws.
    draws : int
        Draws at most; no chance is found smaller than 1 / (draws + 1).
    seed : int
        Of the draws: the same counts give the same chances.

    Returns
    -------
    list of (statistic, p)

    Notes
    -----
    ``P(p <= a) <= a`` for each a without drift: exact but for ties of the statistic, which make it smaller.
    """
    reference, window = _bounded(reference, window)
    pooled = reference + window
    held = pooled > 0
    window, pooled = window[held], pooled[held]
    runs = [_Run(statistic, window, pooled) for statistic in statistics]
    generator = np.random.default_rng(seed)
    done, size = 0, FIRST_DRAWS
    while done < draws and any(run.p is None for run in runs):
        size = min(size, draws - done, max(1, CELLS_AT_ONCE // len(pooled)))
        drawn = generator.multivariate_hypergeometric(pooled, int(window.sum()), size=size, method="marginals")
        for run in runs:
            run.add(drawn, pooled, done)
        done, size = done + size, size * 2
    return [(run.seen, run.p if run.p is not None else (run.hits + 1) / (done + 1)) for run in runs]


class _Run:
    """One statistic on its way to a chance: draws go on until `ENOUGH` of them are as extreme as what was seen."""

    def __init__(self, statistic: Statistic, window: Counts, pooled: Counts) -> None:
        self.p: float | None = None
        self.hits = 0
        self._statistic = statistic
        self.seen = float(statistic(window[None], pooled)[0])
        # Equal tables give equal statistics only up to rounding.
        self._least = self.seen - 1e-9 * max(1.0, abs(self.seen))

    def add(self, drawn: Counts, pooled: Counts, done: int) -> None:
        """Count the draws that are as extreme, after `done` earlier ones."""
        if self.p is not None:
            return
        hits = self.hits + np.cumsum(self._statistic(drawn, pooled) >= self._least)
        last = int(np.searchsorted(hits, ENOUGH))
        if last < len(hits):
            self.p = ENOUGH / (done + last + 1)
        self.hits = int(hits[-1])


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Return q-values: rejecting all q <= alpha keeps the expected share of false alarms among the alarms below alpha.

    Where nothing drifts, every alarm is false, so that alpha is the chance of any alarm at all (Benjamini and
    Hochberg, 1995; it holds for independent and for positively dependent tests).
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    scaled = values[order] * len(values) / np.arange(1, len(values) + 1)
    q = np.empty_like(values)
    q[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1.0)
    return [float(value) for value in q]


def draws_for(tests: int, alpha: float) -> int:
    """Return how many draws let a single drifted column of `tests` be found at the level `alpha`."""
    return min(MOST_DRAWS, math.ceil(2 * tests / alpha))


def jensen_shannon(reference: Counts, window: Counts) -> float:
    """Return the Jensen-Shannon distance of the shares, base 2: 0 for equal ones, 1 where nothing is common."""
    p, q = reference / max(1, reference.sum()), window / max(1, window.sum())
    middle = (p + q) / 2
    divergence = (_relative(p, middle) + _relative(q, middle)) / 2
    return math.sqrt(max(0.0, divergence))


def wasserstein(reference: tuple[Floats, Floats], window: tuple[Floats, Floats]) -> float:
    """Return the first Wasserstein distance of two discrete distributions, each given as values and shares."""
    values = np.concatenate([reference[0], window[0]])
    difference = np.concatenate([reference[1], -window[1]])
    order = np.argsort(values)
    return float(np.sum(np.abs(np.cumsum(difference[order])[:-1]) * np.diff(values[order])))


def _relative(p: Floats, q: Floats) -> float:
    held = p > 0
    return float(np.sum(p[held] * np.log2(p[held] / q[held])))


def _entropy(counts: npt.NDArray[np.int64]) -> Floats:
    """Return the sum of count * log(count) over the last axis."""
    return np.asarray(np.sum(counts * np.log(np.maximum(counts, 1)), axis=-1))


def _bounded(reference: Counts, window: Counts) -> tuple[Counts, Counts]:
    total = int(reference.sum() + window.sum())
    scale = max(1, math.ceil(total / MOST_ROWS))
    return reference // scale, window // scale

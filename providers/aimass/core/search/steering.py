"""How the first evaluation steers the search: which families are worth trials, and what is already known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aimass.core.models.base import Dimension
from aimass.core.search.base import Observation, Proposal


@dataclass(frozen=True)
class Baseline:
    """A candidate that was trained and evaluated before the search.

    Attributes
    ----------
    name, family : str
        Its name and model family.
    settings : dict
        All its hyper-parameters.
    score : float
        The metric on the validation part.
    """

    name: str
    family: str
    settings: dict[str, Any]
    score: float


@dataclass(frozen=True)
class Steering:
    """The families to search, the most promising first, and the reasons in words."""

    families: list[str]
    advice: list[str]


def steer(
    baselines: Sequence[Baseline],
    families: Sequence[str],
    *,
    metric: str,
    maximize: bool,
    drop_behind: float | None,
) -> Steering:
    """Order `families` by their best baseline, and drop those that are more than `drop_behind` behind the best one.

    Parameters
    ----------
    baselines : sequence of Baseline
        What the first evaluation found.
    families : sequence of str
        The families that may be searched; those of the baselines when empty.
    drop_behind : float or None
        In units of `metric`; None drops none. A family without a baseline is never dropped.
    """
    best: dict[str, float] = {}
    for baseline in baselines:
        better = max if maximize else min
        best[baseline.family] = better(best.get(baseline.family, baseline.score), baseline.score)
    wanted = list(families) or list(best)
    known = sorted((name for name in wanted if name in best), key=lambda name: -best[name] if maximize else best[name])
    unknown = [name for name in wanted if name not in best]
    kept, advice = [], []
    for name in known:
        behind = abs(best[name] - best[known[0]])
        if drop_behind is not None and behind > drop_behind:
            advice.append(f"{name} is not searched: its {metric} {best[name]:.4f} is {behind:.4f} behind {known[0]}")
        else:
            kept.append(name)
            advice.append(f"{name} is searched: its first {metric} was {best[name]:.4f}")
    advice += [f"{name} is searched: nothing is known of it yet" for name in unknown]
    return Steering(kept + unknown, advice)


def known_points(baselines: Sequence[Baseline], space: Mapping[str, Sequence[Dimension]]) -> list[Observation]:
    """Return the baselines as points of `space`, so that the search does not begin from nothing."""
    points = []
    for baseline in baselines:
        dimensions = space.get(baseline.family)
        if dimensions is not None:
            params = {dimension.name: baseline.settings.get(dimension.name) for dimension in dimensions}
            points.append(Observation(Proposal(baseline.family, params), baseline.score))
    return points

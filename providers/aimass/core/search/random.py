"""Draw points blindly: the yardstick for every other strategy, and the honest choice for a handful of trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from aimass.core import settings
from aimass.core.models.base import Dimension
from aimass.core.search.base import Observation, Proposal, Space


class RandomSettings(settings.Settings):
    """The random strategy has nothing to set."""


class RandomSearch:
    """Families and values are drawn uniformly, on a logarithmic scale where the dimension says so."""

    Settings: ClassVar[type[settings.Settings]] = RandomSettings

    def __init__(self, settings: RandomSettings) -> None:
        self.settings = settings

    def propose(
        self, space: Space, observed: Sequence[Observation], count: int, *, seed: int, maximize: bool
    ) -> list[Proposal]:
        """Return `count` points drawn from `space`; what was observed does not matter."""
        generator = np.random.default_rng(seed)
        families = list(space)
        proposals = []
        for _ in range(count):
            family = families[int(generator.integers(len(families)))]
            params = {dimension.name: _draw(dimension, generator) for dimension in space[family]}
            proposals.append(Proposal(family, params))
        return proposals


def _draw(dimension: Dimension, generator: np.random.Generator) -> Any:
    if dimension.kind == "categorical":
        return dimension.choices[int(generator.integers(len(dimension.choices)))]
    assert dimension.low is not None
    assert dimension.high is not None
    if dimension.log:
        value = math.exp(generator.uniform(math.log(dimension.low), math.log(dimension.high)))
    elif dimension.kind == "int":
        return int(generator.integers(int(dimension.low), int(dimension.high) + 1))
    else:
        value = float(generator.uniform(dimension.low, dimension.high))
    value = min(max(value, dimension.low), dimension.high)
    return round(value) if dimension.kind == "int" else value

"""What a search strategy is: from what was found so far to what should be tried next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from aimass.core import settings
from aimass.core.models.base import Dimension

Space = Mapping[str, Sequence[Dimension]]
"""The conditional space: each family's hyper-parameters, by the family's name, the most promising family first."""


@dataclass(frozen=True)
class Proposal:
    """One point of the space.

    Attributes
    ----------
    family : str
        The model family.
    params : dict
        A value for each of the family's dimensions.
    """

    family: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation:
    """A point and the score that it reached; None where it could not be fitted."""

    proposal: Proposal
    score: float | None


class SearchStrategy(Protocol):
    """Proposes points. Constructed as ``Strategy(settings)``; keeps no state between calls."""

    Settings: ClassVar[type[settings.Settings]]

    def __init__(self, settings: Any) -> None: ...

    def propose(
        self, space: Space, observed: Sequence[Observation], count: int, *, seed: int, maximize: bool
    ) -> list[Proposal]:
        """Return `count` points that are worth trying together.

        The same arguments give the same points in every process: a parent that was killed half-way proposes again
        what it had proposed before.
        """


def contains(dimension: Dimension, value: Any) -> bool:
    """Return whether `value` is one that `dimension` can take."""
    if dimension.kind == "categorical":
        return value in dimension.choices
    is_number = isinstance(value, int if dimension.kind == "int" else (int, float)) and not isinstance(value, bool)
    return is_number and (dimension.low or 0.0) <= value <= (dimension.high or 0.0)

"""Rounds: what makes a search reproducible whoever works on it, and however late the workers are.

The points of a round follow from the scores of the rounds before it, never from a trial of the same round; so it does
not matter which worker ends first, and a round that was cut off is completed with the very points that are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aimass.core.failpoints import Failpoints
from aimass.core.models.base import Dimension
from aimass.core.search.base import Observation, SearchStrategy
from aimass.core.search.study import StudyStore, Trial

SEED_STRIDE = 10_007


@dataclass(frozen=True)
class Rounds:
    """The whole search as data.

    Attributes
    ----------
    space : dict
        Families and their dimensions.
    strategy : SearchStrategy
        Proposes the points.
    trials, rounds : int
        How many trials, in how many rounds.
    seed : int
        Decides every draw.
    maximize : bool
        Whether greater scores are better.
    known : list of Observation
        What was found before the search began.
    advice : list of str
        Why the space is what it is.
    """

    space: dict[str, list[Dimension]]
    strategy: SearchStrategy
    trials: int
    rounds: int
    seed: int
    maximize: bool
    known: list[Observation] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    def size(self, round_index: int) -> int:
        """Return how many trials a round has; the first ones take what does not divide evenly."""
        whole, rest = divmod(self.trials, self.rounds)
        return whole + (1 if round_index < rest else 0)

    def ask(self, study: StudyStore, round_index: int, failpoints: Failpoints) -> list[Trial]:
        """Return the trials of a round, asking the strategy for those that are not in the study yet."""
        count = self.size(round_index)

        def propose() -> list[Any]:
            observed = [*self.known, *self._observed_before(study, round_index)]
            seed = self.seed + SEED_STRIDE * round_index
            return self.strategy.propose(self.space, observed, count, seed=seed, maximize=self.maximize)

        return study.add_round(round_index, count, propose, failpoints.hit)

    def best(self, trials: Sequence[Trial]) -> Trial | None:
        """Return the finished trial with the best score, the first of equals; None where all failed."""
        scored = [trial for trial in trials if trial.score is not None]
        sign = -1 if self.maximize else 1
        return min(scored, key=lambda trial: (sign * (trial.score or 0.0), trial.round, trial.index), default=None)

    def _observed_before(self, study: StudyStore, round_index: int) -> list[Observation]:
        return [trial.observation for trial in study.trials() if trial.round < round_index]


def share_out(numbers: Sequence[int], workers: int) -> list[list[int]]:
    """Deal `numbers` to at most `workers` hands, none of them empty."""
    return [hand for index in range(workers) if (hand := list(numbers[index::workers]))]

import math
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core.models.base import Dimension
from aimass.core.search import SEARCHES
from aimass.core.search.base import Observation, Proposal, SearchStrategy, contains

SPACE = {
    "tree": [
        Dimension(name="depth", kind="int", low=1, high=16),
        Dimension(name="leaf", kind="int", low=1, high=1000, log=True),
        Dimension(name="criterion", kind="categorical", choices=("gini", "entropy")),
    ],
    "linear": [Dimension(name="C", kind="float", low=1e-4, high=1e2, log=True)],
}


def strategy(kind: str) -> SearchStrategy:
    backend = SEARCHES.load(kind)
    return backend(backend.Settings())


def score(proposal: Proposal) -> float:
    """Return how good a point is: best at linear, C = 1."""
    return -abs(math.log10(proposal.params["C"])) if proposal.family == "linear" else -5.0


@pytest.mark.parametrize("kind", ["tpe", "random"])
class TestSearchContract:
    def test_points_lie_in_the_space(self, kind: str) -> None:
        for proposal in strategy(kind).propose(SPACE, [], 50, seed=1, maximize=True):
            dimensions = SPACE[proposal.family]
            assert proposal.params.keys() == {dimension.name for dimension in dimensions}
            assert all(contains(dimension, proposal.params[dimension.name]) for dimension in dimensions)

    def test_the_same_call_gives_the_same_points(self, kind: str) -> None:
        observed = [
            Observation(one, score(one)) for one in strategy(kind).propose(SPACE, [], 20, seed=1, maximize=True)
        ]
        first, second = (strategy(kind).propose(SPACE, observed, 8, seed=2, maximize=True) for _ in range(2))
        assert first == second

    def test_another_seed_gives_other_points(self, kind: str) -> None:
        first, second = (strategy(kind).propose(SPACE, [], 8, seed=seed, maximize=True) for seed in (1, 2))
        assert first != second

    def test_what_lies_outside_the_space_does_no_harm(self, kind: str) -> None:
        observed = [
            Observation(Proposal("forest", {"depth": 3}), 1.0),
            Observation(Proposal("linear", {"C": 1e9}), 1.0),
            Observation(Proposal("linear", {}), 1.0),
            Observation(Proposal("tree", {"depth": None, "leaf": 2, "criterion": "log_loss"}), 1.0),
            Observation(Proposal("linear", {"C": 1.0}), None),
        ]
        assert len(strategy(kind).propose(SPACE, observed * 3, 4, seed=1, maximize=True)) == 4


def test_the_hash_seed_of_the_process_does_not_matter() -> None:
    code = (
        "from tests.unit.core.search.test_strategies import *; s = strategy('tpe');"
        "o = [Observation(p, score(p)) for p in s.propose(SPACE, [], 20, seed=1, maximize=True)];"
        "print(s.propose(SPACE, o, 8, seed=2, maximize=True))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


@pytest.mark.parametrize("maximize", [True, False])
def test_tpe_learns_which_family_is_good(maximize: bool) -> None:
    sign = 1 if maximize else -1
    observed: list[Observation] = []
    for round_index in range(5):
        points = strategy("tpe").propose(SPACE, observed, 8, seed=round_index, maximize=maximize)
        observed += [Observation(point, sign * score(point)) for point in points]
    assert sum(point.family == "linear" for point in points) >= 6
    assert max(sign * (one.score or 0.0) for one in observed) > -0.3


@settings(max_examples=25, deadline=None)
@given(low=st.integers(1, 100), width=st.integers(0, 100), log=st.booleans(), seed=st.integers(0, 99))
def test_random_integers_stay_within_their_bounds(low: int, width: int, log: bool, seed: int) -> None:
    space = {"tree": [Dimension(name="n", kind="int", low=low, high=low + width, log=log)]}
    for proposal in strategy("random").propose(space, [], 10, seed=seed, maximize=True):
        assert low <= proposal.params["n"] <= low + width

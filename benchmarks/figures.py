"""A measured figure against its goal, as a table row and as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes
    ----------
    name : str
        What was measured.
    ours : float
        The median of our runs.
    unit : str
        "s", "MB", "x".
    peer : float or None
        The median of what it is compared with; None where it stands alone.
    spread : float
        (largest - smallest) / median over our runs.
    goal : float or None
        The largest value that is still good; None for a figure that is only reported.
    judged_by_ratio : bool
        Whether the goal is about ours / peer instead of ours.
    more_is_better : bool
        Whether the goal is the smallest good value instead of the largest.
    """

    name: str
    ours: float
    unit: str
    peer: float | None = None
    spread: float = 0.0
    goal: float | None = None
    judged_by_ratio: bool = False
    more_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """Ours / peer."""
        return None if self.peer is None else self.ours / self.peer

    @property
    def met(self) -> bool:
        """Whether the goal is met; a figure without a goal always is."""
        measured = self.ratio if self.judged_by_ratio else self.ours
        if self.goal is None or measured is None:
            return self.goal is None
        return measured >= self.goal if self.more_is_better else measured <= self.goal

    def document(self) -> dict[str, object]:
        """Return the figure for the JSON line."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def figure(
    name: str, runs: Sequence[float], unit: str, *, peer: Sequence[float] = (), goal: float | None = None
) -> Figure:
    """Build a figure from the single runs."""
    median = statistics.median(runs)
    spread = (max(runs) - min(runs)) / median if median else 0.0
    return Figure(name, median, unit, statistics.median(peer) if peer else None, spread, goal)


def conclude(benchmark: str, figures: Sequence[Figure]) -> int:
    """Print the table and the JSON line; return 0 only if every goal is met.

    The line's own numbers are those of the first figure that misses its goal, or else of the first.
    """
    print(f"{'figure':<44} {'ours':>10} {'peer':>10} {'ratio':>7} {'spread':>7} {'goal':>7}  met")
    for each in figures:
        peer = "" if each.peer is None else f"{each.peer:.3f}"
        ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
        goal = "" if each.goal is None else f"{each.goal:g}"
        verdict = "" if each.goal is None else "yes" if each.met else "NO"
        ours = f"{each.ours:.3f} {each.unit}"
        print(f"{each.name:<44} {ours:>10} {peer:>10} {ratio:>7} {each.spread:>7.0%} {goal:>7}  {verdict}")
    head = next((each for each in figures if not each.met), figures[0])
    met = all(each.met for each in figures)
    keys = ("ours", "peer", "ratio", "spread", "goal")
    line = {"name": benchmark} | {key: head.document()[key] for key in keys} | {"met": met}
    print(json.dumps(line | {"figures": [each.document() for each in figures]}))
    return 0 if met else 1

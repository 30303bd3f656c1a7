"""kill -9 of incremental reads while rows keep coming: at the end, every row that was committed is there once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import polars as pl


class LiveSource(Protocol):
    """A source into which rows are written while it is read.

    Attributes
    ----------
    config : dict
        The configuration of the stage ``ingest``, without `mode`.
    connections : dict
        What reaches the server, by connection id; for `Runtime.connections`.
    key : str
        The column that tells rows apart.
    """

    config: dict[str, Any]
    connections: dict[str, Any]
    key: str

    def write(self) -> None:
        """Commit a few more rows; where the source can, sometimes one whose key is lower than those before it.

        Called again and again from a thread of its own; raises nothing while the server is down on purpose.
        """

    def truth(self) -> pl.DataFrame:
        """Return all rows that were committed, read without the engine."""


class Histogram(Counter[str]):
    """How often reads were killed where."""

    def text(self) -> str:
        """Return one line per place."""
        return "\n".join(f"  {place:<44} {'#' * times} {times}" for place, times in sorted(self.items()))


def prove_exactly_once(
    live: LiveSource,
    *,
    points: int,
    seed: int,
    folder: Path,
    disturb: Callable[[int], None] | None = None,
) -> Histogram:
    """Kill incremental reads `points` times, then read to the end: the chain's rows are the committed ones.

    Parameters
    ----------
    live : LiveSource
        What is read, and written meanwhile.
    points : int
        How many reads are killed: two of three at a fail point, the rest at any moment.
    seed : int
        Seed of the kills.
    folder : Path
        An empty folder for the store.
    disturb : callable, optional
        ``disturb(number)`` is called while a read runs: restart a broker, kill a DataNode, every tenth time.

    Raises
    ------
    AssertionError
        A row is lost, doubled or another one than was written.
    """
    raise AssertionError(live, points, seed, folder, disturb)

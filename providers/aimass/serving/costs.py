"""What running a model takes, by the size of the batch: it decides whether a run stays in the event loop."""

from __future__ import annotations

import math


class Costs:
    """What a run takes in ms when nothing disturbs it, by the number of rows to the nearest power of two.

    Means that follow a fast run by a fifth of the way and a slow one by a fiftieth: on a busy machine most of a slow
    run is waiting for the processor, which says nothing about the model.
    """

    def __init__(self) -> None:
        self._ms = [math.inf] * 32

    def note(self, n_rows: int, took_ms: float) -> None:
        """Take in one run; a first one counts in full."""
        size = n_rows.bit_length()
        more = took_ms - self._ms[size]
        self._ms[size] = took_ms if more == -math.inf else self._ms[size] + more * (0.2 if more < 0 else 0.02)

    def of(self, n_rows: int) -> float:
        """Return what `n_rows` should take in ms; infinite where nothing of that size was seen."""
        return self._ms[n_rows.bit_length()]

    @property
    def row_ms(self) -> float:
        """What a row takes in batches of the best size seen; 0 where nothing was seen."""
        best = min(ms / (1 << size >> 1 or 1) for size, ms in enumerate(self._ms))
        return best if math.isfinite(best) else 0.0

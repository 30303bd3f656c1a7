"""What a metric is: one figure from the true classes and the predicted probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Scored:
    """True classes beside predicted probabilities.

    Attributes
    ----------
    y : array, shape (n_rows,), int8
        1 for the positive class; both classes occur.
    probability : array, shape (n_rows,), float64
        Predicted probability of the positive class.
    threshold : float
        From this probability on, a row is predicted positive.
    """

    y: npt.NDArray[np.int8]
    probability: npt.NDArray[np.float64]
    threshold: float = 0.5

    @property
    def predicted(self) -> npt.NDArray[np.int8]:
        """The predicted classes, shape (n_rows,)."""
        return (self.probability >= self.threshold).astype(np.int8)


class Metric(Protocol):
    """A figure of merit. Constructed without arguments."""

    title: ClassVar[str]
    """What people call it."""
    greater_is_better: ClassVar[bool]
    explanation: ClassVar[str]
    """One sentence for the report's reader."""

    def __call__(self, scored: Scored) -> float:
        """Return the metric's value."""

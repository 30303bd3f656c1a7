"""What a model family is: fit, score, keep in a native format, and turn into ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aimass.core import settings

if TYPE_CHECKING:
    import onnx

    from aimass.core.matrix import Matrix

StepCallback = Callable[[int, dict[str, float]], None]
"""Called while training with ``(step, {"validation_auc": …})``; may raise to stop the training."""


class Dimension(settings.Settings):
    """One hyper-parameter that the search may vary."""

    name: str = Field(description="Name of the hyper-parameter.")
    kind: Literal["int", "float", "categorical"] = Field(description="What values it takes.")
    low: float | None = Field(default=None, description="Least value (int and float).")
    high: float | None = Field(default=None, description="Greatest value (int and float).")
    log: bool = Field(default=False, description="Whether to search on a logarithmic scale.")
    choices: tuple[Any, ...] = Field(default=(), description="The values of a categorical one.")


class ModelFamily(Protocol):
    """A fitted or unfitted model of one family.

    Constructed as ``Family(settings)``. `Settings` holds every hyper-parameter that our ONNX export reproduces and
    refuses the others when it is parsed.
    """

    Settings: ClassVar[type[settings.Settings]]
    accepts_missing: ClassVar[bool]
    """Whether NaN in the features is understood by both the native model and its ONNX export."""

    def __init__(self, settings: Any) -> None: ...

    @classmethod
    def space(cls) -> list[Dimension]:
        """Return the hyper-parameters worth searching, with sensible bounds."""

    def fit(self, train: Matrix, validation: Matrix | None, *, seed: int, on_step: StepCallback | None = None) -> None:
        """Fit on `train`; `validation` serves early stopping and live metrics only. Deterministic for a seed."""

    def predict_proba(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the probability of the positive class, shape (n_rows,)."""

    def importance(self) -> npt.NDArray[np.float64]:
        """Return each feature's share of importance, shape (n_features,), summing to 1."""

    def save(self, folder: Path) -> list[str]:
        """Write the native model into `folder`; return the names of the files. Never pickle."""

    @classmethod
    def load(cls, folder: Path, settings: Any) -> ModelFamily:
        """Read back what `save` wrote."""

    def to_onnx(self, n_features: int) -> onnx.ModelProto:
        """Return a graph from ``features`` float32 [N, n_features] to ``probability`` float32 [N]."""

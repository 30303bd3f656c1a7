"""What a model family is: fit, score, keep in a native format, and turn into ONNX."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from aimass.core import settings
from aimass.core.errors import SchemaMismatchError

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


class ModelSettings(settings.Settings):
    """Base of the families' settings: what all of them can do, and the refusal of what ONNX cannot say."""

    unexportable: ClassVar[Mapping[str, str]] = {}
    """Hyper-parameters of the library whose ONNX export is silently wrong, each with what was measured."""

    class_weight: Literal["balanced"] | None = Field(
        default=None, description="'balanced' gives both classes the same total weight while fitting."
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unexportable(cls, document: Any) -> Any:
        for name, reason in cls.unexportable.items():
            if isinstance(document, dict) and name in document:
                raise ValueError(f"{name!r} is refused, because its ONNX export is not exact: {reason}")
        return document


class ModelFamily(Protocol):
    """A fitted or unfitted model of one family.

    Constructed as ``Family(settings)``. `Settings` holds every hyper-parameter that our ONNX export reproduces and
    refuses the others when it is parsed. A backend imports its library inside its methods: settings are also parsed
    where DAG files are read, and there only their own cost counts.
    """

    Settings: ClassVar[type[settings.Settings]]
    accepts_missing: ClassVar[bool]
    """Whether NaN in the features is understood by both the native model and its ONNX export."""

    def __init__(self, settings: Any) -> None: ...

    @classmethod
    def space(cls) -> list[Dimension]:
        """Return the hyper-parameters worth searching, with sensible bounds."""

    def fit(self, train: Matrix, validation: Matrix | None, *, seed: int, on_step: StepCallback | None = None) -> None:
        """Fit on `train`; `validation` serves early stopping and live metrics only. Deterministic for a seed.

        Raises SchemaMismatchError where the features hold NaN and the family does not accept it.
        """

    def predict_proba(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the probability of the positive class, shape (n_rows,)."""

    def importance(self) -> npt.NDArray[np.float64]:
        """Return each feature's share of importance, shape (n_features,), summing to 1 (all 0 for a constant model)."""

    def save(self, folder: Path) -> list[str]:
        """Write the native model into `folder`; return the names of the files. Equal models give equal bytes."""

    @classmethod
    def load(cls, folder: Path, settings: Any) -> ModelFamily:
        """Read back what `save` wrote; CorruptDataError where a file holds anything else."""

    def to_onnx(self, n_features: int) -> onnx.ModelProto:
        """Return a graph from ``features`` float32 [N, n_features] to ``probability`` float32 [N]."""


_SHARED_BY: ContextVar[int] = ContextVar("_SHARED_BY", default=1)


@contextlib.contextmanager
def sharing_cores(workers: int) -> Iterator[None]:
    """Use only this process's share of the cores in the block, as one of `workers` that fit at the same time.

    Threads that outnumber the cores wait for each other: two workers with two threads each on two cores are several
    times slower than two with one. No model depends on the number of its threads.
    """
    token = _SHARED_BY.set(workers)
    try:
        yield
    finally:
        _SHARED_BY.reset(token)


def thread_count(n_jobs: int | None) -> int:
    """Return how many threads to use: `n_jobs`, or this process's share of the cores that it may run on."""
    return n_jobs or max(1, len(os.sched_getaffinity(0)) // _SHARED_BY.get())


def class_weights(y: npt.NDArray[np.int8], class_weight: str | None) -> npt.NDArray[np.float64] | None:
    """Return one weight per row, or None where every row counts the same.

    Parameters
    ----------
    y : array, shape (n_rows,), int8
        Classes 0 and 1, both present.
    class_weight : {"balanced", None}
        "balanced" is ``n_rows / (2 * rows of the class)``, as scikit-learn has it.
    """
    if class_weight is None:
        return None
    return (len(y) / (2.0 * np.bincount(y, minlength=2)))[y]


def floor_to_float32(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the greatest float32 values that are not above `values`, kept as float64.

    For float32 features, ``x <= t`` and ``x <= floor(t)`` say the same; so a tree whose thresholds are rounded this
    way predicts what it did before, and an export to float32 loses nothing. (Rounded to nearest, half of the
    thresholds grow, and a row that sits exactly there takes the other branch.)
    """
    exact = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore"):
        nearest = exact.astype(np.float32)
    floored = np.where(nearest > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return floored.astype(np.float64)


def require_finite(X: npt.NDArray[np.float32], names: Sequence[str] | None = None, *, family: str) -> None:
    """Raise SchemaMismatchError where a feature holds NaN or infinity, for the families that cannot take it."""
    bad = np.flatnonzero(~np.isfinite(X).all(axis=0))
    if bad.size:
        columns = [names[int(index)] if names else f"number {index}" for index in bad]
        shown = ", ".join(columns[:10]) + (", …" if len(columns) > 10 else "")
        raise SchemaMismatchError(
            f"{len(columns)} features hold missing or infinite values, which {family} cannot take: {shown}",
            expected="finite numbers",
            hint="Add a `fill` feature step for these columns (with an indicator if missing means something), "
            "or train lightgbm, which accepts missing values",
            columns=columns,
        )

"""What a splitter is, and the random numbers that all of them draw from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from aimass.core import settings
from aimass.core.manifest import Split

if TYPE_CHECKING:
    import polars as pl

SHARES: tuple[Split, ...] = ("train", "validation", "test")
"""The codes that `Splitter.assign` returns are places in this tuple."""

TRAIN, VALIDATION, TEST = range(3)
Codes = npt.NDArray[np.int8]


class ShareSettings(settings.Settings):
    """How large the shares are; what is left is for training."""

    validation: float = Field(default=0.15, gt=0, lt=1, description="Share of rows that choose between models.")
    test: float = Field(default=0.15, gt=0, lt=1, description="Share of rows that are looked at once, at the end.")

    @model_validator(mode="after")
    def _leave_some_for_training(self) -> ShareSettings:
        if self.validation + self.test >= 1:
            raise ValueError(f"validation + test must be below 1, not {self.validation + self.test:g}")
        return self


class Splitter(Protocol):
    """A rule that gives each row to training, validation or test.

    Constructed as ``Splitter(settings)``. The same rows in the same order are always split alike.
    """

    Settings: ClassVar[type[settings.Settings]]

    def __init__(self, settings: Any) -> None: ...

    def columns(self) -> list[str]:
        """Return the columns that the rule looks at."""

    def fit(self, frame: pl.LazyFrame, n_rows: int) -> dict[str, Any]:
        """Look at `columns` of all `n_rows` rows; return the boundaries, JSON-able, for people to read."""

    def assign(self, batch: pl.DataFrame, first_row: int) -> Codes:
        """Return the share of each row of `batch`, whose first row is number `first_row` of all; shape (n_rows,)."""


def uniform(seed: int, first_row: int, n_rows: int) -> npt.NDArray[np.float64]:
    """Return a number in [0, 1) for each row, shape (n_rows,): a function of the seed and the row's number alone."""
    skipped = first_row % 4
    # Philox is a counter: one step of it gives four numbers, so any row's can be had without those before it.
    generator = np.random.Generator(np.random.Philox(key=seed, counter=first_row // 4))
    return generator.random(skipped + n_rows)[skipped:]


def by_thresholds(values: npt.NDArray[Any], validation_from: Any, test_from: Any) -> Codes:
    """Return the share of each value: below both is training, from `test_from` on is test."""
    codes: Codes = (values >= validation_from).astype(np.int8) + (values >= test_from).astype(np.int8)
    return codes


def thresholds(values: npt.NDArray[Any], shares: ShareSettings) -> tuple[Any, Any]:
    """Return the values at which validation and test begin, so that each gets its share of `values`."""
    n_rows = len(values)
    places = [round(n_rows * (1 - shares.validation - shares.test)), round(n_rows * (1 - shares.test))]
    ordered = np.partition(values, [min(place, n_rows - 1) for place in places])
    return ordered[min(places[0], n_rows - 1)], ordered[min(places[1], n_rows - 1)]

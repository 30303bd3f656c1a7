"""Split at random within each class, so that every share has the same mix of classes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from aimass.core import settings
from aimass.core.datasets import collect
from aimass.core.splitting.base import Codes, ShareSettings, by_thresholds, thresholds, uniform

DRAWN = "\u0000drawn"


class StratifiedSettings(ShareSettings):
    """Settings of a stratified split."""

    column: str = Field(description="The classes, usually the target; null is a class of its own.")
    seed: int = Field(default=0, ge=0, description="Seed of the random numbers.")


class StratifiedSplitter:
    """Every row draws a number; within a class the largest ones are the test."""

    Settings: ClassVar[type[settings.Settings]] = StratifiedSettings

    def __init__(self, settings: StratifiedSettings) -> None:
        self.settings = settings

    def columns(self) -> list[str]:
        """Return the column of classes."""
        return [self.settings.column]

    def fit(self, frame: pl.LazyFrame, n_rows: int) -> dict[str, Any]:
        """Find, for each class, the numbers at which validation and test begin."""
        name = self.settings.column
        drawn = collect(frame.select(name)).with_columns(pl.Series(DRAWN, uniform(self.settings.seed, 0, n_rows)))
        classes = drawn.group_by(name, maintain_order=True).agg(pl.col(DRAWN))
        self.limits_ = {value: thresholds(np.asarray(numbers), self.settings) for value, numbers in classes.iter_rows()}
        counts = sorted(((str(value), len(numbers)) for value, numbers in classes.iter_rows()), key=lambda one: -one[1])
        return {"column": name, "seed": self.settings.seed, "rows_by_class": dict(counts[:20])}

    def assign(self, batch: pl.DataFrame, first_row: int) -> Codes:
        """Compare each row's number with the limits of its class."""
        drawn = uniform(self.settings.seed, first_row, batch.height)
        classes = batch[self.settings.column].to_list()
        limits = np.array([self.limits_[value] for value in classes])
        return by_thresholds(drawn, limits[:, 0], limits[:, 1])

"""One fold of a k-fold split: the test is held out first, fold i of the rest validates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from aimass.core import settings
from aimass.core.splitting.base import TEST, TRAIN, VALIDATION, Codes, uniform

if TYPE_CHECKING:
    import polars as pl


class KFoldSettings(settings.Settings):
    """Settings of one fold."""

    folds: int = Field(default=5, ge=2, description="Number of folds.")
    fold: int = Field(default=0, ge=0, description="The fold that validates, from 0.")
    test: float = Field(default=0.15, gt=0, lt=1, description="Share of rows held out first, the same for each fold.")
    seed: int = Field(default=0, ge=0, description="Seed of the random numbers.")

    @model_validator(mode="after")
    def _fold_exists(self) -> KFoldSettings:
        if self.fold >= self.folds:
            raise ValueError(f"fold must be below folds ({self.folds}), not {self.fold}")
        return self


class KFoldSplitter:
    """Every row draws a number; the largest are the test, equal slices of the others the folds."""

    Settings: ClassVar[type[settings.Settings]] = KFoldSettings

    def __init__(self, settings: KFoldSettings) -> None:
        self.settings = settings

    def columns(self) -> list[str]:
        """Return nothing: the rows are not looked at."""
        return []

    def fit(self, frame: pl.LazyFrame, n_rows: int) -> dict[str, Any]:
        """Find the numbers at which the folds and the test begin."""
        drawn = np.sort(uniform(self.settings.seed, 0, n_rows))
        n_folded = n_rows - max(1, round(n_rows * self.settings.test))
        places = [n_folded * fold // self.settings.folds for fold in range(self.settings.folds + 1)]
        self.limits_ = drawn[np.minimum(places, n_rows - 1)]
        return {"seed": self.settings.seed, "folds": self.settings.folds, "fold": self.settings.fold}

    def assign(self, batch: pl.DataFrame, first_row: int) -> Codes:
        """Draw again, the same numbers."""
        drawn = uniform(self.settings.seed, first_row, batch.height)
        folds = np.searchsorted(self.limits_[1:-1], drawn, side="right")
        codes = np.where(folds == self.settings.fold, VALIDATION, TRAIN)
        return np.where(drawn >= self.limits_[-1], TEST, codes).astype(np.int8)

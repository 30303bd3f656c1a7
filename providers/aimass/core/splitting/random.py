"""Split at random: exact shares, fixed by a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from aimass.core import settings
from aimass.core.splitting.base import Codes, ShareSettings, by_thresholds, thresholds, uniform

if TYPE_CHECKING:
    import polars as pl


class RandomSettings(ShareSettings):
    """Settings of a random split."""

    seed: int = Field(default=0, ge=0, description="Seed of the random numbers.")


class RandomSplitter:
    """Every row draws a number; the largest ones are the test."""

    Settings: ClassVar[type[settings.Settings]] = RandomSettings

    def __init__(self, settings: RandomSettings) -> None:
        self.settings = settings

    def columns(self) -> list[str]:
        """Return nothing: the rows are not looked at."""
        return []

    def fit(self, frame: pl.LazyFrame, n_rows: int) -> dict[str, Any]:
        """Find the numbers at which validation and test begin."""
        drawn = uniform(self.settings.seed, 0, n_rows)
        self.validation_from_, self.test_from_ = thresholds(drawn, self.settings)
        return {"seed": self.settings.seed}

    def assign(self, batch: pl.DataFrame, first_row: int) -> Codes:
        """Draw again, the same numbers."""
        drawn = uniform(self.settings.seed, first_row, batch.height)
        return by_thresholds(drawn, self.validation_from_, self.test_from_)

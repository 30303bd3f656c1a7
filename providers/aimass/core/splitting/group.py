"""Split by group: all rows of a customer, a plane or a patient go to the same share."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from aimass.core import settings
from aimass.core.datasets import collect
from aimass.core.splitting.base import SHARES, Codes, ShareSettings

CODE = "\u0000code"


class GroupSettings(ShareSettings):
    """Settings of a split by group."""

    column: str = Field(description="Names the group of a row; null is a group of its own.")
    seed: int = Field(default=0, ge=0, description="Seed of the groups' order.")


class GroupSplitter:
    """Groups in a random order fill training, then validation, then test, by their numbers of rows."""

    Settings: ClassVar[type[settings.Settings]] = GroupSettings

    def __init__(self, settings: GroupSettings) -> None:
        self.settings = settings

    def columns(self) -> list[str]:
        """Return the column that names the group."""
        return [self.settings.column]

    def fit(self, frame: pl.LazyFrame, n_rows: int) -> dict[str, Any]:
        """Give each group to a share."""
        name = self.settings.column
        groups = collect(frame.group_by(name).len("\u0000rows")).sort(name)
        order = np.random.default_rng(self.settings.seed).permutation(groups.height)
        groups = groups[order]
        sizes = groups["\u0000rows"].to_numpy()
        # A group belongs where its middle row falls, so that one large group does not shift a whole share.
        middles = (np.cumsum(sizes) - sizes / 2) / n_rows
        starts = [1 - self.settings.validation - self.settings.test, 1 - self.settings.test]
        codes = np.searchsorted(starts, middles, side="right").astype(np.int8)
        self.codes_ = groups.select(name).with_columns(pl.Series(CODE, codes))
        counts = {share: int((codes == code).sum()) for code, share in enumerate(SHARES)}
        return {"column": name, "seed": self.settings.seed, "groups": counts}

    def assign(self, batch: pl.DataFrame, first_row: int) -> Codes:
        """Look up each row's group."""
        name = self.settings.column
        found = batch.select(name).join(self.codes_, on=name, how="left", nulls_equal=True, maintain_order="left")
        return found[CODE].to_numpy()

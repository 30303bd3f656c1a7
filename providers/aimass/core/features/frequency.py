"""How common a category is among the training rows."""

from __future__ import annotations

from aimass.core.features.categories import CategorySettings, TableTransform


class FrequencySettings(CategorySettings):
    """Settings of the transform `frequency`."""


class Frequency(TableTransform):
    """The share of training rows with this category; 0 for rare and unseen ones, the missing rows' share for those."""

    Settings = FrequencySettings
    suffix = "frequency"

    def table(self, index: int) -> list[float]:
        """Return the shares."""
        *known, _, missing = self.rows_[index]
        total = max(1, sum(self.rows_[index]))
        return [*(rows / total for rows in known), 0.0, missing / total]

"""What is set about drift and quality: read by the monitor stage and by the files in ``include/alerts``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aimass.core.settings import Settings

Evidently = Literal["never", "alarm", "always"]
"""In which windows Evidently's report is made: where a column or the answers drifted is an alarm."""


class DriftSettings(Settings):
    """When a window counts as drifted."""

    alpha: float = Field(
        default=0.01,
        gt=0,
        le=0.2,
        description="Chance that a window without any drift raises an alarm, over all its columns together.",
    )
    min_effect: float = Field(
        default=0.1,
        ge=0,
        description="Least effect that matters, however certain: Wasserstein distance in standard deviations of the "
        "training part, or Jensen-Shannon distance (0 to 1).",
    )
    columns: list[str] | None = Field(default=None, description="Only these raw columns; all of them when empty.")
    skip: list[str] = Field(default_factory=list, description="Not these columns, such as the month.")


class QualitySettings(Settings):
    """How good answers are once labels arrive."""

    metrics: list[str] = Field(
        default=["auc", "log_loss", "accuracy"], min_length=1, description="Names of metrics; the first one is shown."
    )
    min_labels: int = Field(default=100, ge=10, description="Labels below which nothing is said about quality.")
    horizon_hours: float = Field(
        default=168, gt=0, description="How far before a label became known its prediction is looked for."
    )

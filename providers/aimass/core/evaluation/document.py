"""What ``evaluation.json`` holds."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from aimass.core.texts import Text


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Curve(_Part):
    """A curve of at most 200 points."""

    x: list[float] = Field(description="Values on the horizontal axis.")
    y: list[float] = Field(description="Values on the vertical axis.")


class Confusion(_Part):
    """Rows by true and predicted class at the threshold."""

    true_positives: int = Field(description="Positive rows predicted positive.")
    false_positives: int = Field(description="Negative rows predicted positive.")
    false_negatives: int = Field(description="Positive rows predicted negative.")
    true_negatives: int = Field(description="Negative rows predicted negative.")


class ThresholdRow(_Part):
    """What one threshold would do."""

    threshold: float = Field(description="From this probability on, a row is predicted positive.")
    predicted_positive: float = Field(description="Share of the rows predicted positive.")
    precision: float | None = Field(description="Share of those that are positive; empty where none is predicted.")
    recall: float = Field(description="Share of the positive rows that is found.")
    f1: float = Field(description="Harmonic mean of precision and recall.")
    accuracy: float = Field(description="Share of the rows predicted right.")


class CalibrationBin(_Part):
    """Rows with similar probabilities."""

    rows: int = Field(description="Number of rows.")
    predicted: float = Field(description="Mean predicted probability.")
    observed: float = Field(description="Share of positive rows.")


class FeatureImportance(_Part):
    """How much a model uses a feature."""

    feature: str = Field(description="Name of the feature.")
    share: float = Field(description="Its share of the model's own measure of importance.")


class CandidateEvaluation(_Part):
    """One candidate on the evaluated part."""

    name: str = Field(description="Name of the candidate.")
    family: str = Field(description="Its model family.")
    metrics: dict[str, float] = Field(description="Its metrics.")
    threshold: float = Field(description="The threshold that the metrics used, chosen on the validation part.")
    confusion: Confusion = Field(description="Rows by true and predicted class.")
    roc: Curve = Field(description="False positive rate (x) against true positive rate (y).")
    precision_recall: Curve = Field(description="Recall (x) against precision (y).")
    thresholds: list[ThresholdRow] = Field(description="What round thresholds, and the chosen one, would do.")
    calibration: list[CalibrationBin] = Field(description="Predicted against observed, in bins of about equal size.")
    calibration_error: float = Field(description="Mean gap between predicted and observed, weighted by rows.")
    importance: list[FeatureImportance] = Field(description="The most important features, at most 200.")


class Caution(_Part):
    """Something that a reader must know before trusting the figures."""

    level: Literal["error", "warning", "info"] = Field(description="How serious it is.")
    code: str = Field(description="A word for programs: tiny_part, weak, suspicious, calibration, gap.")
    text: str = Field(description="A sentence for people.")
    said: Text | None = Field(default=None, description="`text`, for other languages.")


class Evaluation(_Part):
    """The whole document."""

    format_version: int = Field(default=1, description="Version of this document's format.")
    split: Literal["validation", "test"] = Field(description="The part that was scored.")
    rows: int = Field(description="Number of rows in it.")
    positives: int = Field(description="Number of positive rows.")
    classes: list[str] = Field(description="The target's classes, the positive one last.")
    best: str = Field(description="Name of the candidate that is best on validation.")
    threshold_rule: str | float = Field(description="How the threshold was chosen, on the validation part.")
    candidates: list[CandidateEvaluation] = Field(description="The candidates; the best one only on the test part.")
    warnings: list[Caution] = Field(description="What to know before trusting the figures, the worst first.")

    def named(self, name: str) -> CandidateEvaluation:
        """Return the candidate called `name`; it must be there."""
        return next(candidate for candidate in self.candidates if candidate.name == name)

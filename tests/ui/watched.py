"""A model that has been watched for a while: what the monitor stage leaves in the store, window by window."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from aimass.core.deps import Deps
from aimass.core.monitoring.result import (
    ColumnDrift,
    Drift,
    DriftTest,
    MonitorResult,
    Quality,
    QualityFigure,
    VersionQuality,
    window_uri,
)

BEGIN = datetime(2026, 11, 23, 12, tzinfo=UTC)
LENGTH = timedelta(minutes=1)


def watched(
    model: str, project: str, columns: Sequence[str], *, story: str = "111222xx2111", **fields: Any
) -> list[MonitorResult]:
    """Return one window for each letter of `story`.

    A digit is the version that answered, x is version 2 on a feed gone wrong, and - is a window without answers.
    `fields` are those of the last one.
    """
    return [
        _window(model, project, columns, place, letter, fields if place == len(story) - 1 else {})
        for place, letter in enumerate(story)
    ]


def keep(deps: Deps, windows: Sequence[MonitorResult]) -> None:
    """Write the windows where pages look for them."""
    for window in windows:
        deps.store.publish_once(window_uri(deps.store, window), json.dumps(window.model_dump(mode="json")).encode())


def _window(
    model: str, project: str, columns: Sequence[str], place: int, letter: str, fields: dict[str, Any]
) -> MonitorResult:
    start = BEGIN + place * LENGTH
    document: dict[str, Any] = {
        "model": model, "project": project, "alias": "champion", "model_digest": "d" * 64, "start": start,
        "end": start + LENGTH, "dropped_rows": 0,
    }  # fmt: skip
    if letter == "-":
        nothing: dict[str, Any] = {"version": None, "rows": 0, "rows_by_version": {}, "no_data": True}
        return MonitorResult.model_validate(document | nothing | fields)
    version, wrong = letter.replace("x", "2"), letter == "x"
    auc = (0.2 if wrong else {"1": 0.68, "2": 0.9}[version]) + 0.02 * math.sin(place)
    drift = Drift(
        alpha=0.01, min_effect=0.25, tests=2 * len(columns),
        columns=[_column(name, 2.1 if wrong and not number else 0.05) for number, name in enumerate(columns)],
        probability=_column("probability", 0.9 if wrong else 0.1),
        label=_column("label", 0.3 if wrong else 0.02).model_copy(update={"reference_mean": 0.25}),
    )  # fmt: skip
    figures = [QualityFigure(metric="auc", value=auc, low=auc - 0.03, high=auc + 0.03, at_release=0.7)]
    quality = Quality(
        labels=1_900, matched=1_850, delay_p50_s=13.0, delay_p90_s=14.0,
        versions=[VersionQuality(version=version, rows=1_850, positives=400, figures=figures)],
    )  # fmt: skip
    metrics = {"score_drift": drift.probability.effect, "positive_share": 0.1 if wrong else 0.24, "auc": auc}
    judged = {"version": version, "rows": 2_000, "rows_by_version": {version: 2_000}, "no_data": False}
    return MonitorResult.model_validate(
        document | judged | {"drift": drift, "quality": quality, "metrics": metrics} | fields
    )


def _column(name: str, effect: float) -> ColumnDrift:
    alarm = effect > 0.25
    p, q = (0.001, 0.004) if alarm else (0.4, 0.8)
    test = DriftTest(name="distribution", statistic=effect / 3, p=p, q=q, effect=effect, alarm=alarm)
    return ColumnDrift(
        column=name, kind="int", rows=2_000, reference_rows=50_000, missing_share=0.0, reference_missing_share=0.01,
        mean=-12.0 if alarm else 12.0, reference_mean=12.1, tests=[test],
    )  # fmt: skip

"""Metrics of labelled rows, and intervals that hold the truth as often as they say."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from aimass.core.evaluation.base import Scored
from aimass.core.evaluation.metrics import Accuracy, Auc
from aimass.core.monitoring.figures import how_much_worse
from aimass.core.monitoring.log import AT, PROBABILITY, VERSION
from aimass.core.monitoring.quality import (
    KNOWN_AT,
    TRUTH,
    Released,
    assess,
    auc_interval,
    bootstrap_interval,
)
from aimass.core.monitoring.result import QualityFigure
from aimass.core.monitoring.settings import QualitySettings
from tests.unit.core.monitoring.logged import NOON

TIME = pl.Datetime("us", "UTC")
TRUE_AUC = 0.7602  # of two normal distributions one standard deviation apart


def scored(rows: int, seed: int) -> Scored:
    generator = np.random.default_rng(seed)
    y = (generator.uniform(size=rows) < 0.4).astype(np.int8)
    score = generator.normal(size=rows) + y
    return Scored(y, 1 / (1 + np.exp(0.5 - score)))


def test_the_interval_of_the_auc_holds_the_truth_nineteen_times_of_twenty() -> None:
    held = 0
    for seed in range(150):
        sample = scored(150, seed)
        low, high = auc_interval(sample, Auc()(sample))
        held += low <= TRUE_AUC <= high
    assert 0.9 <= held / 150 <= 0.99


def test_the_interval_by_resampling_holds_the_truth_nineteen_times_of_twenty() -> None:
    truth = Accuracy()(scored(1_000_000, 0))
    held = 0
    for seed in range(100):
        sample = scored(300, seed + 1)
        low, high = bootstrap_interval(Accuracy(), sample, Accuracy()(sample), seed)
        held += low <= truth <= high
    assert held >= 88


def test_more_rows_than_are_resampled_narrow_the_interval() -> None:
    few, many = scored(10_000, 1), scored(160_000, 1)
    widths = [np.ptp(bootstrap_interval(Accuracy(), each, Accuracy()(each), 0)) for each in (few, many)]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.25)


@pytest.mark.parametrize("flip", [False, True])
def test_classes_that_are_told_apart_without_error_have_an_interval(flip: bool) -> None:
    y = np.array([0] * 20 + [1] * 20, dtype=np.int8)
    sample = Scored(y, (1 - y if flip else y).astype(np.float64))
    low, high = auc_interval(sample, float(not flip))
    assert 0 <= low < high <= 1
    assert min(abs(low - (not flip)), abs(high - (not flip))) < 0.01


def labelled(rows: int, version: str = "1", positives: int = 5) -> pl.DataFrame:
    return pl.DataFrame(
        {
            VERSION: [version] * rows,
            PROBABILITY: np.linspace(0, 1, rows, dtype=np.float32),
            AT: pl.Series([NOON] * rows, dtype=TIME),
            TRUTH: pl.Series([0] * (rows - positives) + [1] * positives, dtype=pl.Int8),
            KNOWN_AT: pl.Series([NOON + timedelta(minutes=5)] * rows, dtype=TIME),
        }
    )


def test_each_version_is_judged_by_its_own_threshold() -> None:
    rows = pl.concat([labelled(20), labelled(40, "2", 8)])
    settings = QualitySettings(metrics=["accuracy"], min_labels=10)
    found = assess(rows, 99, settings, {"2": Released(0.81, {"accuracy": 0.9})})
    assert (found.labels, found.matched, found.delay_p50_s) == (99, 60, 300)
    second, first = found.versions
    assert (second.version, second.rows, second.positives) == ("2", 40, 8)
    assert second.figures[0].value == 1.0
    assert first.figures[0].value == 0.75
    assert first.figures[0].at_release is None
    assert how_much_worse(second.figures[0]) == pytest.approx(-0.1)
    assert how_much_worse(first.figures[0]) is None


@pytest.mark.parametrize(("rows", "positives"), [(9, 4), (30, 0), (30, 30)])
def test_too_few_labels_or_one_class_are_not_judged(rows: int, positives: int) -> None:
    found = assess(labelled(rows, "1", positives), rows, QualitySettings(min_labels=10), {})
    assert found.versions[0].figures == []


def test_no_match_is_no_quality() -> None:
    found = assess(labelled(0, "1", 0), 7, QualitySettings(), {})
    assert (found.matched, found.versions, found.delay_p50_s) == (0, [], None)


def test_less_is_better_for_the_log_loss() -> None:
    figure = QualityFigure(metric="log_loss", value=0.5, low=0.4, high=0.6, at_release=0.3)
    assert how_much_worse(figure) == pytest.approx(0.2)

"""Which columns are named, and which are not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from aimass.core.features.raw import RawColumn
from aimass.core.monitoring.drift import compare, watched
from aimass.core.monitoring.log import LABEL, PROBABILITY
from aimass.core.monitoring.profile import Profile
from aimass.core.monitoring.result import Drift
from aimass.core.monitoring.settings import DriftSettings

RAW = [
    RawColumn(name="size", type="double", kind="float"),
    RawColumn(name="hour", type="int64", kind="int"),
    RawColumn(name="vip", type="bool", kind="bool"),
    RawColumn(name="carrier", type="string", kind="string"),
    RawColumn(name="constant", type="double", kind="float"),
    RawColumn(name="empty", type="string", kind="string"),
    RawColumn(name="day", type="timestamp[us, tz=UTC]", kind="date"),
]


def rows(count: int, seed: int) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    probability = generator.beta(2, 5, size=count)
    return pl.DataFrame(
        {
            "size": generator.lognormal(size=count),
            "hour": generator.integers(24, size=count),
            "vip": generator.uniform(size=count) < 0.3,
            "carrier": generator.choice(["AA", "DL", "UA"], size=count),
            "constant": np.ones(count),
            "empty": pl.Series([None] * count, dtype=pl.String),
            "day": pl.Series(generator.integers(10**15, size=count)).cast(pl.Datetime("us", "UTC")),
            PROBABILITY: pl.Series(probability, dtype=pl.Float32),
            LABEL: pl.Series(probability > 0.3).cast(pl.Int8),
        }
    )


@pytest.fixture(scope="module")
def reference() -> Profile:
    made = rows(4_000, 0)
    return Profile.of_frame(made.lazy(), RAW, made.height).with_answers([made])


def judged(reference: Profile, frame: pl.DataFrame, **settings: object) -> Drift:
    chosen = DriftSettings.model_validate(settings)
    return compare(reference, reference.window([frame.lazy()], watched(RAW, chosen)), chosen)


def test_nothing_drifts_where_nothing_changed(reference: Profile) -> None:
    found = judged(reference, rows(1_000, 1))
    assert found.drifted == []
    assert not found.probability.drifted
    by_name = {column.column: [test.name for test in column.tests] for column in found.columns}
    assert by_name["size"] == ["distribution", "shares"]
    assert by_name["vip"] == ["shares"]
    # Nothing can differ there, so that no other column pays for their tests.
    assert by_name["constant"] == by_name["empty"] == by_name["day"] == []
    assert found.tests == 2 + 2 + 1 + 1 + 3


@pytest.mark.parametrize(
    ("column", "change", "test"),
    [
        ("size", pl.col("size") * 2, "distribution"),
        ("hour", pl.col("hour") // 2, "distribution"),
        ("size", pl.when(pl.int_range(pl.len()) % 20 > 0).then("size"), "missing"),
        ("vip", pl.lit(True), "shares"),
        ("carrier", pl.when(pl.int_range(pl.len()) % 10 > 0).then("carrier").otherwise(pl.lit("??")), "shares"),
        ("constant", pl.lit(1.5), "shares"),
        ("empty", pl.lit("text"), "missing"),
        ("day", pl.lit(None, dtype=pl.Datetime("us", "UTC")), "missing"),
    ],
)
def test_a_changed_column_is_named_and_no_other(reference: Profile, column: str, change: pl.Expr, test: str) -> None:
    found = judged(reference, rows(1_000, 2).with_columns(change.alias(column)))
    assert found.drifted == [column]
    [named] = [each for each in found.columns if each.drifted]
    assert test in [each.name for each in named.tests if each.alarm]
    assert named.q <= 0.01
    assert named.effect >= 0.1


def test_what_is_certain_but_small_is_no_alarm(reference: Profile) -> None:
    holes = rows(20_000, 3).with_columns(pl.when(pl.int_range(pl.len()) % 200 > 0).then("hour").alias("hour"))
    found = judged(reference, holes)
    hour = found.columns[1]
    assert hour.q <= 0.01
    assert hour.missing_share == 0.005
    assert not hour.drifted
    assert judged(reference, holes, min_effect=0.01).columns[1].drifted


def test_answers_drift_too(reference: Profile) -> None:
    higher = rows(1_000, 4).with_columns(pl.col(PROBABILITY).sqrt(), pl.lit(1, dtype=pl.Int8).alias(LABEL))
    found = judged(reference, higher)
    assert found.probability.drifted
    assert found.label.drifted
    assert (found.label.mean, found.drifted) == (1.0, [])


def test_unseen_values_are_counted(reference: Profile) -> None:
    frame = rows(1_000, 5).with_columns(
        pl.when(pl.int_range(pl.len()) < 250).then(pl.lit("XX")).otherwise("carrier").alias("carrier")
    )
    assert judged(reference, frame).columns[3].unseen_share == 0.25


def test_tiny_windows_are_judged_without_a_false_alarm(reference: Profile) -> None:
    for seed in range(20):
        assert judged(reference, rows(3, 100 + seed)).drifted == []


def test_one_column_may_be_judged_alone(reference: Profile) -> None:
    found = judged(reference, rows(500, 6).with_columns(pl.lit("??").alias("carrier")), columns=["size"])
    assert [column.column for column in found.columns] == ["size"]
    assert found.drifted == []

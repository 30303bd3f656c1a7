from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, DataError, EmptyDataError, SchemaMismatchError, TargetError
from aimass.core.stages.split import STAGE
from tests.unit.core.publishing import publish_frame

N_ROWS = 200
FRAME = pl.DataFrame(
    {
        "row": range(N_ROWS),
        "day": [datetime(2013, 1, 1, tzinfo=UTC) + timedelta(days=(i * 37 % N_ROWS) // 4) for i in range(N_ROWS)],
        "group": [f"g{i % 17}" for i in range(N_ROWS)],
        "late": [i % 4 == 0 for i in range(N_ROWS)],
    }
)
TAGS = {"late": {"role": "target"}, "day": {"role": "time"}}


@pytest.fixture
def split(deps: Deps) -> Any:
    def run(frame: pl.DataFrame = FRAME, tags: dict[str, Any] = TAGS, **settings: Any) -> Any:
        uri = publish_frame(deps, "joined", frame, tags=tags)
        return STAGE.run(STAGE.parse({"dataset": uri, "split": settings}), deps)

    return run


@pytest.mark.parametrize(
    "settings",
    [
        {"type": "time", "column": "day"},
        {"type": "group", "column": "group"},
        {"type": "stratified", "column": "late"},
        {"type": "random", "seed": 3},
        {"type": "k_fold", "fold": 1},
    ],
)
def test_every_row_goes_to_one_share_in_the_old_order(split: Any, deps: Deps, settings: dict[str, Any]) -> None:
    result = split(**settings)
    dataset = open_dataset(result.uri, deps)
    shares = {share: dataset.read(share)["row"].to_list() for share in ("train", "validation", "test")}
    assert {share: len(rows) for share, rows in shares.items()} == result.rows
    assert sorted(itertools.chain(*shares.values())) == list(range(N_ROWS))
    assert all(rows == sorted(rows) for rows in shares.values())
    assert [column.tags for column in dataset.manifest.columns] == [{}, TAGS["day"], {}, TAGS["late"]]


def test_time_puts_ties_on_one_side_and_reports_the_boundaries(split: Any, deps: Deps) -> None:
    result = split(type="time", column="day", validation=0.2, test=0.2)
    dataset = open_dataset(result.uri, deps)
    ends = {share: (days.min(), days.max()) for share in result.rows for days in [dataset.read(share)["day"]]}
    assert ends["train"][1] < ends["validation"][0]
    assert ends["validation"][1] < ends["test"][0]
    assert result.boundaries["validation_from"] == ends["validation"][0].isoformat()
    assert result.boundaries["test_from"] == ends["test"][0].isoformat()
    assert result.rows == {"train": 120, "validation": 40, "test": 40}


@pytest.mark.parametrize(
    ("frame", "settings", "error", "text"),
    [
        (FRAME, {"type": "time", "column": "dya"}, SchemaMismatchError, "Did you mean 'day'"),
        (FRAME, {"type": "time", "column": "group"}, SchemaMismatchError, "timestamp, a date or a number"),
        (
            FRAME.with_columns(day=pl.when(pl.col("row") > 3).then("day")),
            {"type": "time", "column": "day"},
            DataError,
            "null in 4 of 200 rows",
        ),
        (FRAME[:2], {"type": "random"}, EmptyDataError, "2 rows cannot be split"),
        (FRAME.with_columns(day=pl.lit(1)), {"type": "time", "column": "day"}, EmptyDataError, "train share"),
        (FRAME.with_columns(group=pl.lit("g")), {"type": "group", "column": "group"}, EmptyDataError, "share of 200"),
        (
            FRAME.with_columns(late=pl.col("row") == 0),
            {"type": "random"},
            TargetError,
            "every row has the target",
        ),
    ],
)
def test_what_cannot_be_split_gives_one_clear_error(
    split: Any, frame: pl.DataFrame, settings: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        split(frame=frame, **settings)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"type": "tmie"}, "Did you mean 'time'"),
        ({"type": "random", "validation": 0.6, "test": 0.5}, "below 1"),
        ({"type": "random", "tset": 0.5}, "did you mean 'test'"),
        ({"type": "k_fold", "folds": 3, "fold": 3}, "fold must be below folds"),
        ({}, "split: Field|a mapping with the key 'type'"),
    ],
)
def test_mistakes_in_the_rule_are_told_when_the_configuration_is_read(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        STAGE.parse({"dataset": "x", "split": settings})

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import (
    ConfigError,
    DataError,
    EmptyDataError,
    SchemaMismatchError,
    TargetError,
    UnknownNameError,
)
from aimass.core.stages.join import STAGE
from tests.unit.core.publishing import publish_frame

BASE = pl.DataFrame(
    {
        "id": [5, 3, 1, 4, 2],
        "key": ["a", "b", None, "zz", "a"],
        "delay": [10, 20, 30, None, 5],
        "year": [2013] * 5,
    }
)
SIDE = pl.DataFrame({"key": ["b", "a", "c", None], "year": [1, 2, 3, 4], "size": [1.5, 2.5, 3.5, 4.5]})


@pytest.fixture
def join(deps: Deps) -> Any:
    def run(**config: Any) -> Any:
        tables = {"base": publish_frame(deps, "base", BASE), "side": publish_frame(deps, "side", SIDE)}
        return STAGE.run(STAGE.parse({"tables": tables, "base": "base", **config}), deps)

    return run


LEFT = [{"table": "side", "on": ["key"]}]


def test_left_join_keeps_rows_and_order_and_counts_the_unmatched(join: Any, deps: Deps) -> None:
    result = join(joins=LEFT)
    found = open_dataset(result.uri, deps).read()
    assert found.columns == ["id", "key", "delay", "year", "side_year", "size"]
    assert found["id"].to_list() == BASE["id"].to_list()
    assert found["size"].to_list() == [2.5, 1.5, None, None, 2.5]
    assert result.unmatched == {"side": 2}


def test_inner_join_drops_the_unmatched_and_counts_them(join: Any, deps: Deps) -> None:
    result = join(joins=[{"table": "side", "on": {"key": "key"}, "how": "inner", "prefix": "s_"}])
    found = open_dataset(result.uri, deps).read()
    assert found["id"].to_list() == [5, 3, 2]
    assert found.columns[-2:] == ["s_year", "s_size"]
    assert result.unmatched == {"side": 2}


def test_derive_where_columns_and_tags(join: Any, deps: Deps) -> None:
    result = join(
        joins=LEFT,
        derive={"double": "delay * 2.0", "big": "double > 15"},
        where="delay IS NOT NULL",
        columns=["size", "big"],
        id_columns=["id"],
        time_column="year",
        target={"name": "late", "expr": "delay > 15"},
    )
    dataset = open_dataset(result.uri, deps)
    assert dataset.columns == ["id", "year", "size", "big", "late"]
    roles = {column.name: column.tags.get("role") for column in dataset.manifest.columns}
    assert roles == {"id": "id", "year": "time", "size": None, "big": None, "late": "target"}
    assert result.classes == {"False": 2, "True": 2}


def test_rows_without_a_target_are_dropped_or_refused(join: Any) -> None:
    target = {"name": "late", "expr": "delay > 15"}
    assert join(target={**target, "null": "drop"}).dropped_null_target == 1
    with pytest.raises(TargetError, match="null in 1 of 5 rows"):
        join(target=target)


@pytest.mark.parametrize(
    ("config", "error", "text"),
    [
        ({"target": {"name": "dealy"}}, TargetError, "Did you mean 'delay'"),
        ({"target": {"name": "t", "expr": "delay > 99", "null": "drop"}}, TargetError, "constant: every row has False"),
        ({"target": {"name": "id"}}, TargetError, "only binary"),
        ({"target": {"name": "t", "expr": "id / 2.0"}}, TargetError, "Float64.*a boolean"),
        ({"target": {"name": "delay", "null": "drop"}, "where": "delay IS NULL"}, TargetError, "null in every row"),
        ({"target": {"name": "t", "expr": "id > 2", "positive": "yes"}}, TargetError, "positive value 'yes'"),
        ({"where": "dely > 1"}, SchemaMismatchError, "Did you mean 'delay'"),
        ({"where": "delay >"}, ConfigError, "where.*no valid expression"),
        ({"where": "delay"}, ConfigError, "true or false"),
        ({"where": "key > 3"}, ConfigError, "no valid expression"),
        ({"where": "id > 100"}, EmptyDataError, "left no rows"),
        ({"derive": {"m": "sum(delay)"}}, ConfigError, "derive.m.*whole table"),
        ({"derive": {"m": "nope(delay)"}}, ConfigError, "nope"),
        ({"columns": ["delay", "siez"], "joins": LEFT}, SchemaMismatchError, "Did you mean 'size'"),
        ({"base": "bse"}, UnknownNameError, "Did you mean 'base'"),
        ({"joins": [{"table": "side", "on": ["kye"]}]}, SchemaMismatchError, "Did you mean 'key'"),
        ({"joins": [{"table": "side", "on": {"id": "key"}}]}, SchemaMismatchError, "Int64.*String"),
        ({"joins": [{"table": "side", "on": {"key": "ky"}}]}, SchemaMismatchError, "table 'side'"),
        ({"joins": [{"table": "side", "on": ["key"], "prefix": ""}] * 2}, SchemaMismatchError, "second column"),
    ],
)
def test_mistakes_give_one_clear_error(join: Any, config: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        join(**config)


def test_a_join_that_would_multiply_rows_shows_the_key(deps: Deps) -> None:
    twice = pl.concat([SIDE, SIDE])
    tables = {"base": publish_frame(deps, "base", BASE), "side": publish_frame(deps, "side", twice)}
    with pytest.raises(DataError, match="multiply rows: 2 of its rows have key=a"):
        STAGE.run(STAGE.parse({"tables": tables, "base": "base", "joins": LEFT}), deps)


def test_repeated_keys_that_no_row_asks_for_do_no_harm(deps: Deps) -> None:
    side = pl.concat([SIDE, SIDE.filter(pl.col("key") == "c")])
    tables = {"base": publish_frame(deps, "base", BASE), "side": publish_frame(deps, "side", side)}
    assert STAGE.run(STAGE.parse({"tables": tables, "base": "base", "joins": LEFT}), deps).rows == 5


def test_integer_keys_of_different_width_meet(deps: Deps) -> None:
    side = pl.DataFrame({"id": pl.Series([1, 2], dtype=pl.Int8), "x": [1, 2]})
    tables = {"base": publish_frame(deps, "base", BASE), "side": publish_frame(deps, "side", side)}
    result = STAGE.run(
        STAGE.parse({"tables": tables, "base": "base", "joins": [{"table": "side", "on": ["id"]}]}), deps
    )
    assert result.unmatched == {"side": 3}


def test_exchanged_tables_have_another_key(deps: Deps) -> None:
    one, two = publish_frame(deps, "base", BASE), publish_frame(deps, "side", SIDE)
    first = STAGE.run(STAGE.parse({"tables": {"a": one, "b": two}, "base": "a"}), deps)
    second = STAGE.run(STAGE.parse({"tables": {"b": one, "a": two}, "base": "a"}), deps)
    assert first.digest != second.digest

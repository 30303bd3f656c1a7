from __future__ import annotations

from typing import Any

import polars as pl
import pytest
import yaml

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, UnknownNameError
from aimass.core.exploration.explore import explore
from aimass.core.exploration.leakage import LeakageSettings
from aimass.core.exploration.profile import Exploration
from aimass.core.settings import parse_settings
from aimass.core.testing.datasets import publish_rows
from aimass.core.validation.outcomes import expected_text, seen_text
from aimass.core.validation.suite import SuiteSettings, build_suite, to_yaml


@pytest.fixture
def found(deps: Deps) -> Exploration:
    frame = pl.DataFrame(
        {
            "id": range(200),
            "t": [float(i) for i in range(200)],
            "trend": [i * 2 for i in range(200)],
            "price": [float((i * 7) % 100) for i in range(200)],
            "city": ["a", "b", "c", "d"] * 50,
            "name": [f"n{i}" for i in range(200)],
            "gone": pl.Series([None] * 200, dtype=pl.String),
            "y": [True, False] * 100,
        }
    ).with_columns(price=pl.when(pl.col("id") % 4 > 0).then("price"))
    tags = {"id": {"role": "id"}, "t": {"role": "time"}, "y": {"role": "target"}}
    return explore(open_dataset(publish_rows(deps, {"train": frame}, tags=tags), deps), LeakageSettings(), deps)


def suite(found: Exploration, **settings: Any) -> dict[str, dict[str, Any]]:
    parsed = parse_settings(SuiteSettings, settings, where="suite")
    return {item["id"]: item for item in build_suite(found, parsed)}


def test_the_suite_follows_what_was_seen(found: Exploration) -> None:
    made = suite(found)
    assert made["city.in_set"]["value_set"] == ["a", "b", "c", "d"]
    assert made["price.not_null"]["mostly"] == 0.65
    assert made["price.range"]["min_value"] == 0
    assert made["price.range"]["max_value"] == 148
    assert made["id.unique"]["expectation"] == "expect_column_values_to_be_unique"
    assert made["y.not_null"]["mostly"] == 1
    assert made["y.in_set"]["value_set"] == [False, True]
    assert made["name.lengths"]["max_value"] == 8
    assert "trend.range" not in made, "its next values lie outside by nature"
    assert not [name for name in made if name.startswith("gone.")]


def test_single_expectations_can_be_skipped_changed_and_added(found: Exploration) -> None:
    extra = {"expectation": "expect_column_mean_to_be_between", "column": "price", "max_value": 3}
    made = suite(found, skip=["*.type", "name.*"], change={"city.in_set": {"mostly": 0.5}}, add=[extra])
    assert not [name for name in made if name.endswith(".type") or name.startswith("name.")]
    assert made["city.in_set"]["mostly"] == 0.5
    assert made["city.in_set"]["value_set"] == ["a", "b", "c", "d"]
    assert made["price.mean_to_be_between"]["max_value"] == 3


def test_the_whole_suite_can_be_replaced(found: Exploration) -> None:
    made = suite(found, expectations=[{"id": "mine", "expectation": "expect_column_to_exist", "column": "y"}])
    assert list(made) == ["mine"]


def test_the_written_suite_can_be_read_back_as_a_suite(found: Exploration) -> None:
    made = list(suite(found).values())
    again = suite(found, expectations=yaml.safe_load(to_yaml(made)))
    assert list(again.values()) == made


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"skip": ["prise.range"]}, UnknownNameError, "Did you mean 'price.range'"),
        ({"change": {"city.inset": {}}}, UnknownNameError, "Did you mean 'city.in_set'"),
        ({"add": [{"column": "price"}]}, ConfigError, "mapping with the key 'expectation'"),
        ({"skipp": []}, ConfigError, "did you mean 'skip'"),
    ],
)
def test_mistakes_are_named(found: Exploration, settings: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        suite(found, **settings)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"column": "x", "min_value": 0, "max_value": 10, "mostly": 0.99}, "between 0 and 10, for at least 99.0 %"),
        ({"column": "x", "min_value": 3}, "at least 3"),
        ({"value_set": list("abcdefg")}, "one of [a, b, c, d, e, … (7 in all)]"),
        ({"column": "x"}, "for every value"),
    ],
)
def test_expectations_are_put_into_words(arguments: dict[str, Any], text: str) -> None:
    assert expected_text(arguments).startswith(text)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (
            {"result": {"unexpected_percent": 50.0, "unexpected_count": 2, "element_count": 4,
                        "partial_unexpected_list": ["x", "x", "y"]}},
            "2 of 4 values do not fit (50 %), such as x, y",
        ),
        ({"result": {"observed_value": 12345}}, "observed 12,345"),
        (
            {"exception_info": {"m": {"raised_exception": True, "exception_message": "bad\nworse"}}},
            "it could not be evaluated: bad",
        ),
    ],
)  # fmt: skip
def test_results_are_put_into_words(result: dict[str, Any], text: str) -> None:
    assert seen_text(result) == text

"""Great Expectations itself runs here; importing it takes seconds, so the cases are few and rich."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from aimass.core.artifacts import Artifact
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, SchemaMismatchError, UnknownNameError, ValidationFailedError
from aimass.core.stages import explore
from aimass.core.stages.validate import STAGE, ValidateResult
from aimass.core.testing.datasets import publish_rows

TAGS = {"y": {"role": "target"}, "id": {"role": "id"}, "when": {"role": "time"}}
Validate = Callable[..., ValidateResult]


def rows(count: int = 240, *, start: int = 0) -> pl.DataFrame:
    numbers = range(start, start + count)
    return pl.DataFrame(
        {
            "id": numbers,
            "when": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in numbers],
            "price": [float(i * 7 % 100) if i % 5 else None for i in numbers],
            "city": [("北京", "上海", None)[i % 3] for i in numbers],
            "vip": [(True, False, None)[i % 3] for i in numbers],
            "list": [[i] for i in numbers],
            "y": [i % 4 == 0 for i in numbers],
        }
    )


@pytest.fixture
def validate(deps: Deps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Validate:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")

    def run(test: pl.DataFrame | None = None, **settings: Any) -> ValidateResult:
        shares = {"train": rows(), "validation": rows(60, start=240), "test": test if test is not None else rows(60)}
        uri = publish_rows(deps, shares, tags=TAGS)
        explored = explore.run(explore.ExploreConfig(dataset=uri), deps)
        return STAGE.run(STAGE.parse({"dataset": uri, "exploration": explored.uri, **settings}), deps)

    return run


def test_rows_like_the_training_part_pass(validate: Validate, deps: Deps, capfd: pytest.CaptureFixture[str]) -> None:
    result = validate()
    assert result.success
    assert result.failed == []
    artifact = Artifact(result.uri, deps)
    assert artifact.names() == ["report.html", "report.zh.html", "suite.yaml", "validation.json"]
    document = artifact.read_json("validation.json")
    assert document["success"] is True
    assert document["statistics"]["evaluated_expectations"] == result.evaluated == len(document["results"])
    assert document["meta"]["parts"] == {"train": 240, "validation": 60, "test": 60}
    assert {entry["meta"]["part"] for entry in document["results"]} == {"train", "validation", "test"}
    assert "city.in_set" in {item["id"] for item in yaml.safe_load(artifact.read_bytes("suite.yaml"))}
    assert os.listdir() == []
    written = capfd.readouterr()
    assert "Calculating Metrics" not in written.out + written.err


def test_a_failure_is_published_and_named(validate: Validate, deps: Deps) -> None:
    bad = rows(60).with_columns(city=pl.lit("<img src=x onerror=alert(1)>"), price=pl.lit(1e6), y=pl.lit(True))
    with pytest.raises(ValidationFailedError) as caught:
        validate(bad)
    assert "city.in_set in test: 60 of 60 values do not fit (100 %)" in str(caught.value)
    assert "expected: one of [上海, 北京], for at least 95.0 % of the values" in str(caught.value)
    assert "price.range in test" in str(caught.value)
    assert {item["id"] for item in caught.value.details["failed"]} == {"city.in_set", "price.range"}
    folder = deps.store.folder("p", "validate")
    artifact = Artifact(f"{folder}/{deps.store.list(folder)[0]}", deps)
    assert artifact.manifest.result["success"] is False
    html = artifact.read_bytes("report.html").decode()
    assert "<img" not in html
    assert "&lt;img" in html
    assert "2 of" in html


def test_own_expectations_run_as_given(validate: Validate) -> None:
    pair = {"expectation": "expect_column_pair_values_to_be_equal", "column_A": "id", "column_B": "price"}
    null = {"id": "lists", "expectation": "expect_column_values_to_be_null", "column": "list"}
    with pytest.raises(ValidationFailedError) as caught:
        validate(suite={"expectations": [pair, null]}, rows=30)
    named = {(item["id"], item["part"]) for item in caught.value.details["failed"]}
    assert {("lists", "train"), ("lists", "validation"), ("lists", "test")} < named
    assert "30 of 30 values do not fit" in str(caught.value)


@pytest.mark.parametrize(
    ("item", "error", "text"),
    [
        ({"expectation": "expect_colum_to_exist"}, UnknownNameError, "Did you mean 'expect_column_to_exist'"),
        ({"expectation": "expect_column_to_exist", "colum": "y"}, ConfigError, "colum"),
        (
            {"expectation": "expect_column_values_to_be_unique", "column": "idd"},
            SchemaMismatchError,
            "Did you mean 'id'",
        ),
    ],
)
def test_wrong_expectations_are_refused(
    validate: Validate, item: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        validate(suite={"expectations": [item]})


def test_the_result_stays_small(validate: Validate) -> None:
    assert len(json.dumps(validate().model_dump(mode="json"))) < 5_000

"""Clean: what each step does, to which rows, and what it reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aimass.core.artifacts import Artifact
from aimass.core.datasets import Dataset, open_dataset
from aimass.core.deps import Deps, Runtime
from aimass.core.errors import AimassError, ConfigError, EmptyDataError, SchemaMismatchError, UnknownNameError
from aimass.core.stages.clean import CleanConfig, CleanResult, run
from aimass.core.testing.datasets import publish_rows

TAGS = {"y": {"role": "target"}, "key": {"role": "id"}}


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return Deps.from_runtime(Runtime(store=str(tmp_path)))


def frame(**columns: list[Any]) -> pl.DataFrame:
    n_rows = len(next(iter(columns.values())))
    return pl.DataFrame(
        {"key": [f" k{row}" for row in range(n_rows)], **columns, "y": [row % 2 for row in range(n_rows)]}
    )


def clean(
    deps: Deps, train: pl.DataFrame, steps: Any = None, test: pl.DataFrame | None = None
) -> tuple[CleanResult, Dataset]:
    shares: dict[Any, pl.DataFrame] = {"train": train, "validation": train, "test": train if test is None else test}
    uri = publish_rows(deps, shares, tags=TAGS)
    result = run(CleanConfig(dataset=uri, steps=steps), deps)
    return result, open_dataset(result.uri, deps)


def test_automatic_steps_drop_repeated_training_rows_only(deps: Deps) -> None:
    rows = pl.DataFrame({"key": ["a", "b", "a"], "x": [1.0, None, 1.0], "y": [0, 1, 0]})
    result, dataset = clean(deps, rows)
    assert result.rows == {"train": 2, "validation": 3, "test": 3}
    assert [(step.step, step.rows_dropped) for step in result.steps][-1] == ("duplicates", 1)
    assert dataset.read("train")["key"].to_list() == ["a", "b"]
    assert dataset.manifest.columns[2].tags == {"role": "target"}


def test_text_is_trimmed_and_ids_are_left_alone(deps: Deps) -> None:
    result, dataset = clean(deps, frame(s=[" JFK", "LGA", "  "]), ())
    assert dataset.read("train")["s"].to_list() == ["JFK", "LGA", None]
    assert dataset.read("train")["key"].to_list() == [" k0", " k1", " k2"]
    step = result.steps[0]
    assert (step.step, step.rows_touched, step.cells_touched) == ("types", 6, 6)  # two rows in each of three splits


def test_types_reads_numbers_and_dates_out_of_text(deps: Deps) -> None:
    rows = frame(n=["1.5", "x", None], d=["2013-01-01", "2013-02-30", "2013-01-02T03:04:05Z"], e=[0, 86_400, None])
    steps = [
        {"type": "types", "columns": ["n"], "to": "float"},
        {"type": "types", "columns": ["d"], "to": "date"},
        {"type": "types", "columns": ["e"], "to": "date", "unit": "s"},
    ]
    result, dataset = clean(deps, rows, steps)
    found = dataset.read("train")
    assert found["n"].to_list() == [1.5, None, None]
    assert found["d"].dtype == pl.Datetime("us", "UTC")
    assert found["d"].is_null().to_list() == [False, True, False]
    assert found["e"].dt.day().to_list() == [1, 2, None]
    assert [step.cells_touched for step in result.steps] == [3, 3, 0]


def test_types_folds_case(deps: Deps) -> None:
    _, dataset = clean(deps, frame(s=["JFK", "jfk"]), [{"type": "types", "columns": ["s"], "fold_case": True}])
    assert dataset.read("train")["s"].to_list() == ["jfk", "jfk"]


def test_a_column_without_values_is_dropped_with_a_warning(deps: Deps) -> None:
    result, dataset = clean(deps, frame(x=[1, 2], empty=["", " "]), ())
    assert dataset.columns == ["key", "x", "y"]
    assert result.dropped_columns == {"empty": "no value in the training rows"}
    assert "'empty'" in result.warnings[0]


def test_a_column_of_arrows_null_type_is_dropped_too(deps: Deps) -> None:
    assert clean(deps, frame(x=[1, 2], empty=[None, None]))[1].columns == ["key", "x", "y"]


def test_missing_drops_empty_columns_and_training_rows(deps: Deps) -> None:
    rows = frame(a=[1.0, None, 3.0, 4.0], b=[1.0, None, None, 4.0], c=[None, None, None, 1.0])
    steps = [{"type": "missing", "max_column_share": 0.6, "max_row_share": 0.6}]
    result, dataset = clean(deps, rows, steps)
    assert dataset.columns == ["key", "a", "b", "y"]
    assert result.rows == {"train": 3, "validation": 4, "test": 4}
    assert result.steps[-1].columns == ["c"]
    assert result.steps[-1].rows_dropped == 1


def test_outliers_are_clipped_everywhere_by_what_training_knows(deps: Deps) -> None:
    train = frame(x=[*map(float, range(20)), 1000.0])
    test = frame(x=[-500.0, 5.0])
    result, dataset = clean(deps, train, [{"type": "outliers", "columns": ["x"], "multiple": 1.5}], test)
    assert dataset.read("train")["x"].max() == 30.0
    assert dataset.read("test")["x"].to_list() == [-10.0, 5.0]
    assert (result.steps[-1].step, result.steps[-1].cells_touched) == ("outliers", 3)
    document = Artifact(dataset.uri, deps).read_json("clean.json")
    assert document["transforms"][0]["type"] == "clip"
    assert document["transforms"][0]["state"]["high_"] == [30.0]


def test_outliers_may_drop_training_rows_instead(deps: Deps) -> None:
    train = frame(x=[*map(float, range(20)), 1000.0, None])
    steps = [{"type": "outliers", "columns": ["x"], "action": "drop_rows"}]
    result, dataset = clean(deps, train, steps)
    assert result.rows == {"train": 21, "validation": 22, "test": 22}
    assert dataset.read("train")["x"].null_count() == 1


def test_a_transform_that_changes_values_is_a_step(deps: Deps) -> None:
    result, dataset = clean(deps, frame(x=[1.0, None, 3.0]), [{"type": "fill", "columns": ["x"]}])
    assert dataset.read("train")["x"].to_list() == [1.0, 2.0, 3.0]
    assert dataset.read("train")["x_missing"].to_list() == [0.0, 1.0, 0.0]
    assert (result.steps[-1].rows_touched, result.steps[-1].cells_touched) == (3, 3)


def test_duplicates_may_look_at_some_columns(deps: Deps) -> None:
    result, dataset = clean(deps, frame(x=[1, 1, 2, 1]), [{"type": "duplicates", "columns": ["x"]}])
    assert result.steps[-1].rows_dropped == 2
    assert dataset.read("train")["key"].to_list() == [" k0", " k2"]


def test_the_same_input_gives_the_same_bytes(deps: Deps, tmp_path: Path) -> None:
    rows = frame(x=[1.0, None, 3.0, 3.0], s=["a", "b", "a", "a"])
    steps = [{"type": "fill", "columns": ["x"], "strategy": "mean"}, {"type": "duplicates", "columns": ["s"]}]
    other = Deps.from_runtime(Runtime(store=str(tmp_path / "other")))
    assert clean(deps, rows, steps)[0].digest == clean(other, rows, steps)[0].digest
    assert clean(deps, rows, steps)[0].reused


@pytest.mark.parametrize(
    ("step", "error", "says"),
    [
        ({"type": "duplicate"}, UnknownNameError, "'duplicates'"),
        ({"type": "missing", "columns": ["xx"]}, UnknownNameError, "'x'"),
        ({"type": "duplicates", "columns": ["xx"]}, SchemaMismatchError, "'x'"),
        ({"type": "types", "columns": ["x"], "to": "bool"}, ConfigError, "float"),
        ({"type": "types", "to": "bool"}, ConfigError, "columns"),
        ({"type": "outliers", "columns": ["s"]}, SchemaMismatchError, "string"),
        ({"type": "one_hot", "columns": ["s"]}, ConfigError, "features"),
        ({"columns": ["s"]}, ConfigError, "type"),
    ],
)
def test_mistakes_are_named(deps: Deps, step: dict[str, Any], error: type[AimassError], says: str) -> None:
    with pytest.raises(error, match=says):
        clean(deps, frame(x=[1.0, 2.0], s=["a", "b"]), [step])


def test_types_after_another_step_are_refused(deps: Deps) -> None:
    steps = [{"type": "fill", "columns": ["x"]}, {"type": "types", "columns": ["s"], "to": "float"}]
    with pytest.raises(ConfigError, match="first"):
        clean(deps, frame(x=[1.0, 2.0], s=["1", "2"]), steps)


def test_rows_that_were_never_split_are_refused(deps: Deps) -> None:
    uri = publish_rows(deps, {"test": frame(x=[1, 2])}, tags=TAGS)
    with pytest.raises(EmptyDataError, match="split"):
        run(CleanConfig(dataset=uri), deps)


def test_dropping_every_training_row_is_an_error(deps: Deps) -> None:
    steps = [{"type": "missing", "max_column_share": 1.0, "max_row_share": 0.0}]
    with pytest.raises(EmptyDataError):
        clean(deps, frame(a=[1.0, None], b=[None, 1.0]), steps)

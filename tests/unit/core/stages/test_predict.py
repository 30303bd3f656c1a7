from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, NotFoundError, SchemaMismatchError
from aimass.core.monitoring.log import ROW
from aimass.core.release.base import STATE_TAG, ModelRegistry
from aimass.core.release.promotion import open_registry
from aimass.core.stages.predict import PredictResult
from aimass.core.testing.datasets import publish_rows
from aimass.core.testing.endpoints import MemoryEndpoint, MemoryEndpointSettings
from aimass.core.testing.endpoints_contract import served_package
from tests.releasing import run
from tests.searching import make_deps

ROWS = 103
MEMORY = {"type": "memory"}


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return make_deps(tmp_path / "store")


@pytest.fixture
def registry(deps: Deps, tmp_path: Path) -> ModelRegistry:
    found = open_registry(MEMORY, deps)
    for bias in (0.25, 0.75):
        found.register(served_package(tmp_path, "late", bias))
    found.set_alias("late", "champion", "1")
    return found


def rows() -> pl.DataFrame:
    generator = np.random.default_rng(7)
    return pl.DataFrame(
        {
            "flight": np.arange(ROWS, dtype=np.int64) + 1000,
            "origin": [None if index % 11 == 0 else ("JFK", " LGA ")[index % 2] for index in range(ROWS)],
            "distance": generator.normal(size=ROWS),
            "unused": ["x"] * ROWS,
        }
    )


@pytest.fixture
def dataset(deps: Deps) -> str:
    return publish(deps, rows())


def publish(deps: Deps, frame: pl.DataFrame) -> str:
    """Return the URI of a dataset; its folder is called after its columns, of which the key says nothing."""
    return publish_rows(deps, {"train": frame}, tags={"flight": {"role": "id"}}, stage="-".join(frame.columns))


def predict(deps: Deps, dataset: str, **others: object) -> PredictResult:
    found: PredictResult = run(deps, "predict", dataset=dataset, model="late", registry=MEMORY, **others)
    return found


def test_answers_are_those_of_the_server(deps: Deps, registry: ModelRegistry, dataset: str) -> None:
    result = predict(deps, dataset, batch_rows=10)
    answers = open_dataset(result.uri, deps).read()
    assert answers.columns == [ROW, "flight", "probability", "label"]
    endpoint = MemoryEndpoint(MemoryEndpointSettings(store=deps.store.root))
    served = endpoint.predict("late", rows().select("origin", "distance").to_dicts())["predictions"]
    assert answers["probability"].to_list() == [one["probability"] for one in served]
    assert answers["label"].to_list() == [one["label"] for one in served]
    assert answers[ROW].to_list() == list(range(ROWS))
    assert (result.version, result.rows, result.positive) == ("1", ROWS, (answers["label"] == "yes").sum())


@pytest.mark.parametrize("shards", [1, 4, 200])
def test_shards_are_together_the_whole(deps: Deps, registry: ModelRegistry, dataset: str, shards: int) -> None:
    whole = open_dataset(predict(deps, dataset).uri, deps).read()
    count = min(shards, 5)
    chosen = range(shards) if shards <= 5 else np.linspace(0, shards - 1, count, dtype=int).tolist()
    parts = [
        open_dataset(predict(deps, dataset, shard=shard, shards=shards, batch_rows=7).uri, deps).read()
        for shard in chosen
    ]
    together = pl.concat(parts)
    assert together.equals(whole.filter(pl.col(ROW).is_in(together[ROW].implode())))
    assert shards > 5 or together.height == ROWS


def test_an_empty_shard_has_the_columns(deps: Deps, registry: ModelRegistry) -> None:
    empty = publish(deps, rows().head(0))
    result = predict(deps, empty)
    assert (result.rows, result.mean_probability) == (0, None)
    assert open_dataset(result.uri, deps).columns == result.columns


def test_a_run_keeps_its_version_and_the_next_takes_the_new_one(
    deps: Deps, registry: ModelRegistry, dataset: str
) -> None:
    first = predict(deps, dataset, shards=2)
    registry.set_alias("late", "champion", "2")
    assert predict(deps, dataset, shard=1, shards=2).version == first.version == "1"
    assert predict(deps, dataset, version="2").version == "2"
    assert predict(deps, dataset, shards=2).reused


def test_rows_without_an_answer_are_counted(deps: Deps, registry: ModelRegistry, dataset: str, tmp_path: Path) -> None:
    registry.register(served_package(tmp_path, "late", float("nan")))
    result = predict(deps, dataset, version="3")
    assert result.unanswered == (rows()["origin"] == "JFK").sum()
    assert result.mean_probability is not None


def test_what_does_not_fit_is_told(deps: Deps, registry: ModelRegistry, dataset: str) -> None:
    with pytest.raises(SchemaMismatchError, match=r"'distance'.*'distances'"):
        predict(deps, publish(deps, rows().rename({"distance": "distances"})))
    with pytest.raises(SchemaMismatchError, match="flihgt"):
        predict(deps, dataset, columns=["flihgt"])
    with pytest.raises(ConfigError, match="'label' cannot be repeated"):
        predict(deps, publish(deps, rows().rename({"unused": "label"})), columns=["label"])
    with pytest.raises(ConfigError, match="shard 2 does not exist"):
        predict(deps, dataset, shard=2, shards=2)
    with pytest.raises(NotFoundError, match="no version '9'"):
        predict(deps, dataset, version="9")
    with pytest.raises(NotFoundError, match="'nobody'"):
        predict(deps, dataset, alias="nobody")
    registry.set_tags("late", "2", {STATE_TAG: "archived"})
    with pytest.raises(ConfigError, match="archived"):
        predict(deps, dataset, version="2")

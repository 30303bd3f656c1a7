"""Nothing that is fitted, searched or generated may depend on the test part: other test rows, same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.manifest import load_manifest
from aimass.core.stages import STAGES
from aimass.core.storage import text_digest

ROWS, HELD_OUT = 500, 100
FITTED = ("explore", "clean", "featurize", "train", "optimize")


def table() -> pl.DataFrame:
    """Return rows in order of time, the last fifth being the test part."""
    when = pl.int_range(ROWS, eager=True).alias("when")
    return pl.DataFrame({"when": when}).with_columns(
        age=(pl.col("when") * 37 % 71 + 18).cast(pl.Float64),
        plan=pl.Series(["a", "b", "c", "d"]).gather(when * 13 % 4),
        calls=pl.when(pl.col("when") % 9 == 0).then(None).otherwise(pl.col("when") * 7 % 10),
        churned=((pl.col("when") * 7 % 10 + pl.col("when") * 13 % 4) > 6).cast(pl.Int64),
    )


def with_other_test_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the same training and validation rows with test rows of another world."""
    is_test = pl.col("when") >= ROWS - HELD_OUT
    return rows.with_columns(
        age=pl.when(is_test).then(pl.col("age") * 1000 - 5).otherwise("age"),
        plan=pl.when(is_test).then(pl.lit("never seen")).otherwise("plan"),
        calls=pl.when(is_test).then(None).otherwise("calls"),
        churned=pl.when(is_test).then(1 - pl.col("churned")).otherwise("churned"),
    )


def fitted_files(rows: pl.DataFrame, folder: Path) -> dict[str, dict[str, str]]:
    """Run the pipeline up to the search; return the digests of each fitting stage's files."""
    folder.mkdir()
    csv = folder / "rows.csv"
    rows.write_csv(csv)
    deps = Deps.from_runtime(Runtime(store=str(folder / "store"), tracking_uri=f"memory://{folder.name}"))
    done: dict[str, str] = {}

    def run(stage: str, **config: Any) -> None:
        verb = STAGES.load(stage)
        done[stage] = verb.run(verb.parse(config), deps).uri

    run("ingest", name="rows", source={"type": "files", "uri": str(csv)})
    run("join", tables={"rows": done["ingest"]}, base="rows", time_column="when", target={"name": "churned"})
    run("split", dataset=done["join"], split={"type": "time", "column": "when", "validation": 0.2, "test": 0.2})
    run("explore", dataset=done["split"])
    run("clean", dataset=done["split"])
    run("featurize", dataset=done["clean"], raw=done["split"])
    models = [{"type": "decision_tree", "max_depth": 3}, {"type": "lightgbm", "n_estimators": 5}]
    run("train", dataset=done["featurize"], models=models)
    run("evaluate", dataset=done["featurize"], model=done["train"], split="validation")
    inputs = {"dataset": done["featurize"], "evaluation": done["evaluate"], "baseline": done["train"]}
    run("optimize", **inputs, rounds=1, trials=4)
    files = {
        stage: {file.name: file.sha256 for file in load_manifest(deps.store, done[stage]).files} for stage in FITTED
    }
    exploration = deps.store.read_json(f"{done['explore']}/exploration.json")
    # The page names its dataset, and that is another one.
    exploration.pop("dataset")
    return {**files, "explore": {"exploration.json": text_digest(exploration)}}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """The files made with the test rows as they are, and with others."""
    folder = tmp_path_factory.mktemp("split-first")
    rows = table()
    return fitted_files(rows, folder / "as-they-are"), fitted_files(with_other_test_rows(rows), folder / "others")


@pytest.mark.parametrize("stage", FITTED)
def test_other_test_rows_leave_every_fitted_file_as_it_was(both: tuple[Any, Any], stage: str) -> None:
    as_they_are, others = both
    assert as_they_are[stage], "the stage wrote no file, so the comparison says nothing"
    assert others[stage] == as_they_are[stage]

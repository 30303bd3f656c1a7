"""train and evaluate on a small featurized dataset, with the tracker in memory."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from aimass.core.artifacts import Artifact
from aimass.core.deps import Deps, Runtime
from aimass.core.errors import ConfigError, SchemaMismatchError, TargetError, UnreachableError
from aimass.core.evaluation.document import Evaluation
from aimass.core.models.candidates import load_candidates, load_model
from aimass.core.stages.evaluate import STAGE as EVALUATE
from aimass.core.stages.evaluate import EvaluateResult
from aimass.core.stages.train import STAGE as TRAIN
from aimass.core.stages.train import TrainResult
from aimass.core.testing.datasets import publish_rows
from aimass.core.testing.failpoints import FailAt, RecordingFailpoints
from aimass.core.testing.models import example_matrix
from aimass.core.testing.tracking import MemoryRun, MemoryTracker

TREE = {"type": "decision_tree", "min_samples_leaf": 5}
BOOSTED = {"type": "lightgbm", "n_estimators": 10, "n_jobs": 1}


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    runtime = Runtime(store=str(tmp_path / "store"), project="flights", tracking_uri=f"memory://{tmp_path}")
    return Deps.from_runtime(runtime)


def frame(rows: int, seed: int, *, missing: bool = False) -> pl.DataFrame:
    matrix = example_matrix(rows, seed=seed, missing=missing)
    return pl.DataFrame(matrix.X, schema=matrix.names).with_columns(pl.Series("late", matrix.y))


def dataset(deps: Deps, *, test_seed: int = 2, missing: bool = False, **shares: pl.DataFrame) -> str:
    parts = {
        "train": frame(1500, 0, missing=missing),
        "validation": frame(800, 1),
        "test": frame(800, test_seed),
        **shares,
    }
    tags = {f"feature_{index}": {"role": "feature"} for index in range(6)}
    tags["late"] = {"role": "target", "classes": json.dumps(["no", "yes"])}
    return publish_rows(deps, parts, tags=tags, stage="featurize")  # type: ignore[arg-type]


def train(deps: Deps, uri: str, *models: dict[str, Any], **others: Any) -> TrainResult:
    return TRAIN.run(TRAIN.parse({"dataset": uri, "models": list(models or (TREE, BOOSTED)), **others}), deps)


def evaluate(deps: Deps, uri: str, model: str, **others: Any) -> EvaluateResult:
    return EVALUATE.run(EVALUATE.parse({"dataset": uri, "model": model, **others}), deps)


def runs(deps: Deps) -> dict[str, MemoryRun]:
    return {run.tags["aimass.candidate"]: run for run in MemoryTracker(deps).runs.values()}


class TestTrain:
    def test_candidates_are_fitted_compared_and_kept(self, deps: Deps) -> None:
        result = train(deps, dataset(deps))
        metrics = {item.name: item.metrics["auc"] for item in result.candidates}
        assert result.best == max(metrics, key=lambda name: metrics[name])
        assert metrics[result.best] > 0.75
        artifact = Artifact(result.uri, deps)
        found = load_candidates(artifact)
        model = load_model(artifact, found.named("lightgbm"))
        assert model.predict_proba(example_matrix(10).X).shape == (10,)

    def test_steps_and_final_metrics_reach_the_tracker(self, deps: Deps) -> None:
        result = train(deps, dataset(deps))
        run = runs(deps)["lightgbm"]
        assert list(run.metrics["validation_auc"]) == list(range(1, 11))
        assert run.metrics["auc"] == {0: next(c for c in result.candidates if c.name == "lightgbm").metrics["auc"]}
        assert run.params["n_estimators"] == "10"
        assert run.status == "FINISHED"
        assert result.run_urls["lightgbm"] == run.url

    def test_test_rows_change_no_fitted_file(self, deps: Deps) -> None:
        one, other = (train(deps, dataset(deps, test_seed=seed)) for seed in (2, 3))
        assert one.uri != other.uri
        assert one.digest == other.digest

    def test_a_retry_fits_only_what_is_missing_and_doubles_no_run(self, deps: Deps) -> None:
        uri = dataset(deps)

        with pytest.raises(KeyboardInterrupt):
            train(dataclasses.replace(deps, failpoints=FailAt("candidate_done")), uri)
        watched = RecordingFailpoints()
        result = train(dataclasses.replace(deps, failpoints=watched), uri)
        assert watched.names.count("fitted") == 1
        assert len(MemoryTracker(deps).runs) == 2
        assert [item.name for item in result.candidates] == ["decision_tree", "lightgbm"]
        assert not [name for name in deps.store.list(result.uri) if "checkpoint" in name]
        untouched = Deps.from_runtime(deps.runtime.model_copy(update={"project": "other"}))
        assert train(untouched, dataset(untouched)).digest == result.digest

    def test_constant_target_is_refused(self, deps: Deps) -> None:
        uri = dataset(deps, train=frame(300, 0).with_columns(late=pl.lit(1, pl.Int8)))
        with pytest.raises(TargetError, match=r"training part .* holds the class 'yes' only"):
            train(deps, uri)

    def test_missing_values_are_refused_before_anything_is_tracked(self, deps: Deps) -> None:
        uri = dataset(deps, missing=True)
        with pytest.raises(SchemaMismatchError, match="feature_0"):
            train(deps, uri)
        assert MemoryTracker(deps).runs == {}
        assert train(deps, uri, BOOSTED).best == "lightgbm"

    @pytest.mark.parametrize(
        ("document", "text"),
        [
            ({"models": []}, "models"),
            ({"models": [{"type": "lightgbm", "boosting": "rf"}]}, "ONNX"),
            ({"metric": "acuracy"}, "accuracy"),
            ({"seed": -1}, "seed"),
        ],
    )
    def test_a_mistake_is_found_before_anything_runs(self, document: dict[str, Any], text: str) -> None:
        with pytest.raises(ConfigError, match=text):
            TRAIN.parse({"dataset": "file:///x", **document})

    def test_unreachable_tracker_leaves_nothing(self, deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        runtime = deps.runtime.model_copy(update={"tracking_uri": "http://user:secret@127.0.0.1:9"})
        with pytest.raises(UnreachableError) as raised:
            train(Deps.from_runtime(runtime), dataset(deps))
        assert "secret" not in str(raised.value)
        assert deps.store.list(deps.store.folder("flights", "train")) == []


class TestEvaluate:
    def test_validation_compares_all_and_test_measures_the_best(self, deps: Deps) -> None:
        uri = dataset(deps)
        trained = train(deps, uri)
        on_validation = evaluate(deps, uri, trained.uri)
        on_test = evaluate(deps, uri, trained.uri, split="test")
        assert [item.name for item in on_validation.candidates] == ["decision_tree", "lightgbm"]
        assert [item.name for item in on_test.candidates] == [trained.best]
        assert on_test.threshold == on_validation.threshold
        assert on_test.candidates[0].metrics != on_validation.candidates[0].metrics

    def test_document_and_report_are_published(self, deps: Deps) -> None:
        uri = dataset(deps)
        result = evaluate(deps, uri, train(deps, uri).uri, metrics=["f1", "auc"], threshold=0.4)
        artifact = Artifact(result.uri, deps)
        document = Evaluation.model_validate(artifact.read_json("evaluation.json"))
        assert list(document.named(result.best).metrics) == ["f1", "auc"]
        assert document.named(result.best).threshold == 0.4
        assert [caution.code for caution in document.warnings][:1] == ["tiny_part"]
        assert b"<h1>Evaluation of flights" in artifact.read_bytes("report.html")
        assert result.report.endswith("report.html")

    def test_test_rows_do_not_move_the_threshold(self, deps: Deps) -> None:
        thresholds = []
        for seed in (2, 3):
            uri = dataset(deps, test_seed=seed)
            thresholds.append(evaluate(deps, uri, train(deps, uri).uri, split="test").threshold)
        assert thresholds[0] == thresholds[1]

    def test_another_datasets_model_is_refused(self, deps: Deps) -> None:
        trained = train(deps, dataset(deps), TREE)
        other = publish_rows(
            deps,
            {split: frame(200, 5).select("feature_0", "late") for split in ("train", "validation", "test")},  # type: ignore[misc]
            tags={"feature_0": {"role": "feature"}, "late": {"role": "target", "classes": '["no", "yes"]'}},
            stage="featurize",
        )
        with pytest.raises(SchemaMismatchError, match="1 features"):
            evaluate(deps, other, trained.uri)

    def test_an_artifact_without_models_is_refused(self, deps: Deps) -> None:
        uri = dataset(deps)
        with pytest.raises(ConfigError, match="holds no models"):
            evaluate(deps, uri, evaluate(deps, uri, train(deps, uri, TREE).uri).uri)

    @pytest.mark.parametrize("threshold", [0, 1.5, "best_guess", np.nan])
    def test_an_absurd_threshold_is_refused(self, threshold: Any) -> None:
        with pytest.raises(ConfigError, match="threshold"):
            EVALUATE.parse({"dataset": "file:///x", "model": "file:///y", "threshold": threshold})

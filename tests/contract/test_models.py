"""Every model family keeps the contract."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import onnxruntime
import pytest

from aimass.core.models import MODELS
from aimass.core.models.onnx_graph import FEATURES
from aimass.core.testing.models import ModelContract


class TestDecisionTree(ModelContract):
    family = "decision_tree"
    settings: ClassVar[dict[str, Any]] = {"min_samples_leaf": 5, "class_weight": "balanced"}


class TestRandomForest(ModelContract):
    family = "random_forest"
    settings: ClassVar[dict[str, Any]] = {"n_estimators": 12, "n_jobs": 2}

    def test_live_metrics_change_nothing(self) -> None:
        steps: list[int] = []
        followed = self.fitted(on_step=lambda step, metrics: steps.append(step))
        X = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
        assert np.array_equal(followed.predict_proba(X), self.fitted().predict_proba(X))
        assert steps == sorted(set(steps))
        assert steps[-1] == 12


class TestLightGBM(ModelContract):
    family = "lightgbm"
    settings: ClassVar[dict[str, Any]] = {"n_estimators": 30, "min_child_samples": 5, "learning_rate": 0.2, "n_jobs": 2}

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_threads_change_nothing(self, n_jobs: int) -> None:
        X = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
        expected = self.fitted().predict_proba(X)
        other = type(
            "Other", (ModelContract,), {"family": self.family, "settings": {**self.settings, "n_jobs": n_jobs}}
        )
        assert np.array_equal(other().fitted().predict_proba(X), expected)

    def test_onnx_gives_a_row_the_same_bits_in_every_batch(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        graph = self.fitted().to_onnx(6).SerializeToString()
        session = onnxruntime.InferenceSession(graph, options)
        X = np.random.default_rng(0).normal(size=(70, 6)).astype(np.float32)
        (together,) = session.run(None, {FEATURES: X})
        for rows in (1, 3, 8, 33):
            parts = [session.run(None, {FEATURES: X[at : at + rows]})[0] for at in range(0, 70, rows)]
            assert np.array_equal(np.concatenate(parts), together)

    def test_early_stopping_keeps_the_best_round(self) -> None:
        seen: list[float] = []
        model = self.fitted(on_step=lambda step, metrics: seen.append(metrics["validation_auc"]))
        assert model.booster_.num_trees() <= len(seen)


class TestLogisticRegression(ModelContract):
    family = "logistic_regression"
    settings: ClassVar[dict[str, Any]] = {}


def test_every_family_is_tested() -> None:
    assert {contract.family for contract in ModelContract.__subclasses__() if contract.__name__ != "Other"} == set(
        MODELS.names()
    )

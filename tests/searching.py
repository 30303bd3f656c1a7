"""A small world to search in: a featurized dataset, two trained baselines and their evaluation, without MLflow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import polars as pl
from pydantic import Field

from aimass.core.deps import Deps, Runtime
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult
from aimass.core.stages.optimize import OptimizeConfig

FEATURES = [f"x{index}" for index in range(4)]
TAGS = {
    **{name: {"role": "feature"} for name in FEATURES},
    "late": {"role": "target", "classes": json.dumps(["in time", "late"])},
}


class AnyConfig(StageConfig):
    """Only a seed."""

    seed: int = Field(default=0, description="Seed.")


class AnyResult(StageResult):
    """Whatever an evaluation says."""

    split: str = Field(default="validation", description="Part.")
    candidates: list[dict[str, Any]] = Field(default_factory=list, description="Metrics.")


def fresh_deps(folder: Path) -> Deps:
    """Return surroundings in a new folder below `folder`: what lives in memory is known by its store's address, and
    pytest gives a test the folder of one that has passed."""
    return make_deps(folder / uuid4().hex)


def make_deps(folder: Path, **others: Any) -> Deps:
    """Return surroundings whose tracker is in memory."""
    runtime = Runtime(store=str(folder), project="world", principal="tester", tracking_uri="memory://world")
    return Deps.from_runtime(runtime, **others)


def publish_features(deps: Deps, *, rows: int = 400, seed: int = 0) -> str:
    """Publish a featurized dataset of `rows` rows, half of them for training; return its URI."""

    def body(config: AnyConfig, deps: Deps, output: Output) -> AnyResult:
        generator = np.random.default_rng(config.seed)
        X = generator.normal(size=(rows, len(FEATURES))).astype(np.float32)
        chance = 1 / (1 + np.exp(-(X[:, 0] + X[:, 1] * X[:, 2])))
        frame = pl.DataFrame(X, schema=FEATURES).with_columns(
            late=pl.Series((generator.uniform(size=rows) < chance).astype(np.int8))
        )
        writer = output.dataset(tags=TAGS)
        for split, start, length in (("train", 0, rows // 2), ("validation", rows // 2, rows // 4)):
            writer.write(frame.slice(start, length), split=split)
        writer.write(frame.slice(rows * 3 // 4), split="test")
        return AnyResult()

    return Stage("featurize", AnyConfig, AnyResult, 1, body).run(AnyConfig(seed=seed), deps).uri


def publish_evaluation(deps: Deps, candidates: list[dict[str, Any]], *, split: str = "validation") -> str:
    """Publish what an evaluation of `candidates` would say."""

    def body(config: AnyConfig, deps: Deps, output: Output) -> AnyResult:
        output.write_file("evaluation.json", json.dumps(candidates))
        return AnyResult(split=split, candidates=candidates)

    name = f"evaluate_{split}"
    return Stage(name, AnyConfig, AnyResult, 1, body).run(AnyConfig(), deps).uri


def make_world(deps: Deps, **overrides: Any) -> OptimizeConfig:
    """Publish everything that a search needs, and return its configuration."""
    from aimass.core.stages.train import STAGE as TRAIN

    dataset = publish_features(deps)
    models = [{"type": "decision_tree", "max_depth": 2}, {"type": "logistic_regression"}]
    trained = TRAIN.run(TRAIN.parse({"dataset": dataset, "models": models}), deps)
    evaluation = publish_evaluation(deps, [one.model_dump() for one in trained.candidates])
    document = {"dataset": dataset, "baseline": trained.uri, "evaluation": evaluation, "trials": 6, "drop_behind": None}
    return OptimizeConfig.model_validate({**document, **overrides})


def at(deps: Deps, **others: Any) -> Deps:
    """Return `deps` with some parts replaced."""
    return replace(deps, **others)

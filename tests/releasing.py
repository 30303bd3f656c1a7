"""A small world to release from: raw rows, cleaned, turned into features, trained on and evaluated, without MLflow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from aimass.core.deps import Deps
from aimass.core.stages import STAGES
from aimass.core.stages.base import Output, Stage
from tests.searching import AnyConfig, AnyResult

CARRIERS = ("AA", "DL", "UA", "航空")


def raw_rows(rows: int, seed: int = 0) -> pl.DataFrame:
    """Return rows of every kind, some of them missing."""
    generator = np.random.default_rng(seed)
    distance = generator.uniform(50, 5000, size=rows)
    carrier = generator.integers(len(CARRIERS), size=rows)
    hour = generator.integers(0, 24, size=rows)
    chance = 1 / (1 + np.exp(-(hour - 14) / 4 + (carrier == 1) - (distance > 3000)))
    start = datetime(2013, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "carrier": [CARRIERS[index] for index in carrier],
            "distance": distance,
            "hour": hour,
            "scheduled": [start + timedelta(minutes=int(minute)) for minute in range(rows)],
            "late": generator.uniform(size=rows) < chance,
        }
    )
    gaps = generator.uniform(size=(rows, 2))
    return frame.with_columns(
        distance=pl.when(pl.Series(gaps[:, 0] > 0.1)).then("distance"),
        carrier=pl.when(pl.Series(gaps[:, 1] > 0.05)).then("carrier"),
    )


def publish_raw(deps: Deps, *, rows: int = 800, seed: int = 0) -> str:
    """Publish raw rows as split would: half for training, a quarter each for validation and test."""

    def body(config: AnyConfig, deps: Deps, output: Output) -> AnyResult:
        frame = raw_rows(rows, config.seed)
        roles = {name: {"role": "raw feature"} for name in frame.columns}
        writer = output.dataset(tags={**roles, "late": {"role": "target"}})
        writer.write(frame.slice(0, rows // 2), split="train")
        writer.write(frame.slice(rows // 2, rows // 4), split="validation")
        writer.write(frame.slice(rows * 3 // 4), split="test")
        return AnyResult()

    return Stage("split", AnyConfig, AnyResult, 1, body).run(AnyConfig(seed=seed), deps).uri


def run(deps: Deps, stage: str, **config: Any) -> Any:
    """Run a stage; return its result."""
    verb = STAGES.load(stage)
    return verb.run(verb.parse(config), deps)


def make_release(deps: Deps, models: list[dict[str, Any]], **overrides: Any) -> dict[str, Any]:
    """Publish everything that a release needs, and return its configuration."""
    raw = publish_raw(deps, rows=overrides.pop("rows", 800))
    clean = run(deps, "clean", dataset=raw).uri
    features = run(deps, "featurize", dataset=clean, raw=raw).uri
    model = run(deps, "train", dataset=features, models=models).uri
    evaluation = run(deps, "evaluate", dataset=features, model=model, split="test").uri
    inputs = {"model": model, "features": features, "raw": raw, "evaluation": evaluation}
    return {**inputs, "name": "late", "registry": {"type": "memory"}, **overrides}

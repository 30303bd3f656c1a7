"""What the batch stage answers and what a server answers to the same rows: equal, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from aimass.core.datasets import open_dataset
from aimass.core.release.promotion import open_registry
from aimass.serving.loaded import LoadedModel
from tests.releasing import make_release, run
from tests.searching import make_deps


def test_batch_and_server_answer_the_same(tmp_path: Path) -> None:
    deps = make_deps(tmp_path / "store")
    config = make_release(deps, [{"type": "lightgbm", "n_estimators": 20}], rows=400)
    run(deps, "release", **config)
    registry = open_registry({"type": "memory"}, deps)
    version = registry.aliased("late", "champion")
    assert version is not None
    files = registry.fetch(version, ["model.onnx", "graph.json"], tmp_path / "files")
    served = LoadedModel.load(*files, name="late", version="1", digest=version.digest)
    batch = run(deps, "predict", dataset=config["raw"], model="late", registry={"type": "memory"}, batch_rows=64)
    answers = open_dataset(batch.uri, deps).read()

    rows = open_dataset(config["raw"], deps).read().select(column.name for column in served.columns)
    one_by_one = [served.run(served.encoder.encode([row])) for row in rows.to_dicts()]
    probabilities = np.concatenate([probability for probability, _ in one_by_one])
    labels = [served.classes[int(label[0])] for _, label in one_by_one]
    assert answers["probability"].to_numpy().tobytes() == probabilities.tobytes()
    assert answers["label"].equals(pl.Series("label", labels))

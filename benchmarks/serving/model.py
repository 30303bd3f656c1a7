"""The model of the serving benchmarks: LightGBM, 200 trees, 30 features of 30 raw columns with texts and nulls."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from aimass.core import models
from aimass.core.compute.local import LocalCompute, LocalSettings
from aimass.core.deps import Runtime
from aimass.core.failpoints import NoFailpoints
from aimass.core.progress import SilentProgress

NAME = "served"
ROWS = 40_000
TREES = 200
FLOATS, INTS, STRINGS = 22, 4, 4
CATEGORIES = 12
MISSING = 0.05


@dataclass(frozen=True)
class Released:
    """A released model and rows to ask it.

    Attributes
    ----------
    folder : Path
        Everything about it.
    tracking_uri : str
        MLflow's database, with the registry.
    onnx_file, graph_file : Path
        The released graph and its signature.
    """

    folder: Path

    @property
    def tracking_uri(self) -> str:
        """MLflow's database."""
        return f"sqlite:///{self.folder}/mlflow.db"

    @property
    def onnx_file(self) -> Path:
        """The released graph."""
        return self.folder / "model.onnx"

    @property
    def graph_file(self) -> Path:
        """Its signature."""
        return self.folder / "graph.json"

    def rows(self, n_rows: int, seed: int = 1) -> list[dict[str, Any]]:
        """Return rows as a client has them; a missing value is None."""
        return make_rows(n_rows, seed).drop("late").to_dicts()


def default_folder() -> Path:
    """Return where the model and the peers' environments are kept from one benchmark to the next."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "aimass-benchmarks"


def make_rows(n_rows: int, seed: int) -> pl.DataFrame:
    """Return rows of every kind, one value in twenty missing, and the target ``late``."""
    generator = np.random.default_rng(seed)
    floats = generator.normal(size=(FLOATS, n_rows))
    ints = generator.integers(0, 1000, size=(INTS, n_rows))
    texts = generator.integers(0, CATEGORIES, size=(STRINGS, n_rows))
    score = floats[:6].sum(0) + 0.004 * ints[0] + (texts[0] % 3) - 3 + floats[6] * floats[7]
    columns: dict[str, Any] = {f"float_{index}": values for index, values in enumerate(floats)}
    columns |= {f"int_{index}": values for index, values in enumerate(ints)}
    columns |= {f"text_{index}": [f"Value {code}" for code in values] for index, values in enumerate(texts)}
    frame = pl.DataFrame(columns).with_columns(
        pl.when(pl.Series(generator.uniform(size=n_rows) > MISSING)).then(pl.col(name)).alias(name) for name in columns
    )
    chance = 1 / (1 + np.exp(-score))
    return frame.with_columns(late=pl.Series(generator.uniform(size=n_rows) < chance))


def released(folder: Path) -> Released:
    """Return the model, from below `folder` where an earlier run left it: with this recipe, and the same exporter."""
    recipe = [Path(__file__), *sorted(Path(models.__file__).parent.glob("*.py"))]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in recipe)).hexdigest()
    model = Released(folder / f"model-{digest[:12]}")
    if not model.graph_file.exists():
        model.folder.mkdir(parents=True, exist_ok=True)
        _release(model)
    return model


def _release(model: Released) -> None:
    """Run the stages from ingest to release, as a pipeline does."""
    store = model.folder / "store"
    runtime = Runtime(store=store.as_uri(), project="bench", tracking_uri=model.tracking_uri)
    compute = LocalCompute(LocalSettings())

    def run(stage: str, **config: Any) -> dict[str, Any]:
        return compute.run(stage, config, runtime, progress=SilentProgress(), failpoints=NoFailpoints())

    with tempfile.TemporaryDirectory() as name:
        source = Path(name, "rows.parquet")
        make_rows(ROWS, seed=0).write_parquet(source)
        table = run("ingest", name="rows", source={"type": "files", "uri": source.as_uri()})["uri"]
    target = {"name": "is_late", "expr": "late", "positive": True}
    columns = make_rows(1, seed=0).drop("late").columns
    joined = run("join", tables={"rows": table}, base="rows", columns=columns, target=target)["uri"]
    raw = run("split", dataset=joined, split={"type": "random", "validation": 0.2, "test": 0.2, "seed": 1})["uri"]
    clean = run("clean", dataset=raw, steps=[])["uri"]
    # 30 features of 30 columns: no column for each category or gap.
    transforms = [{"type": "fill", "columns": "number", "indicator": "never"}, {"type": "ordinal", "columns": "string"}]
    features = run("featurize", dataset=clean, raw=raw, features=transforms)
    trees = {"type": "lightgbm", "n_estimators": TREES, "early_stopping_rounds": None}
    trained = run("train", dataset=features["uri"], models=[trees])["uri"]
    evaluation = run("evaluate", dataset=features["uri"], model=trained, split="test")["uri"]
    inputs = {"model": trained, "features": features["uri"], "raw": raw, "evaluation": evaluation}
    release = run("release", name=NAME, **inputs)
    print(f"{len(features['features'])} features, {TREES} trees, AUC {release['metrics']['auc']:.3f}")
    for source_uri, file in ((release["uri"], model.onnx_file), (features["uri"], model.graph_file)):
        file.write_bytes(Path(source_uri.removeprefix("file://"), file.name).read_bytes())

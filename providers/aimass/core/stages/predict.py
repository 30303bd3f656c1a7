"""predict: a released model's answers to the rows of a dataset, the very ones that a server gives, shard by shard."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import Field, field_validator, model_validator

from aimass.core.backends import backend_of
from aimass.core.datasets import Dataset, collect, open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, CorruptDataError, NotFoundError
from aimass.core.features.canonical import canonical
from aimass.core.features.canonical_rows import encode_frame
from aimass.core.features.graph import GRAPH_FILE as COLUMNS_FILE
from aimass.core.features.raw import RawColumn
from aimass.core.manifest import Split
from aimass.core.matrix import ROLE, columns_with_role
from aimass.core.monitoring.log import ROW
from aimass.core.progress import ProgressEvent
from aimass.core.release import REGISTRIES
from aimass.core.release.base import GRAPH_FILE, NAME_PATTERN, STATE_TAG, Version
from aimass.core.release.export import LABEL, PROBABILITY
from aimass.core.release.promotion import CHAMPION, open_registry
from aimass.core.settings import InputUri
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult

if TYPE_CHECKING:
    import onnxruntime as ort

OWN_COLUMNS = (ROW, PROBABILITY, LABEL)


class PredictConfig(StageConfig):
    """Which model answers which rows."""

    dataset: InputUri = Field(description="The dataset; it must have the model's raw columns.")
    model: str = Field(pattern=NAME_PATTERN, description="Name of the registered model.")
    alias: str = Field(default=CHAMPION, description="The alias whose version answers, as it stands when a run begins.")
    version: str | None = Field(default=None, description="This version instead.")
    splits: list[Split] = Field(default=[], description="Only these shares of the split; all rows when empty.")
    columns: list[str] | None = Field(
        default=None, description="Columns to repeat beside the answers; those that identify a row when empty."
    )
    shard: int = Field(default=0, ge=0, description="Which shard of the rows, from 0.")
    shards: int = Field(default=1, ge=1, le=10_000, description="How many shards there are.")
    batch_rows: int = Field(default=4096, ge=1, le=65_536, description="Rows that are answered at once.")
    registry: dict[str, Any] = Field(
        default_factory=lambda: {"type": "mlflow"}, description="The registry that has it: `type` and settings."
    )

    @field_validator("registry")
    @classmethod
    def _registry_is_known(cls, registry: dict[str, Any]) -> dict[str, Any]:
        backend_of(REGISTRIES, registry)
        return registry

    @model_validator(mode="after")
    def _shard_exists(self) -> PredictConfig:
        if self.shard >= self.shards:
            raise ValueError(f"shard {self.shard} does not exist: {self.shards} shards are counted from 0")
        return self


class PredictResult(StageResult):
    """Which version answered, and how much."""

    model: str = Field(description="Name of the registered model.")
    version: str = Field(description="The version that answered.")
    model_digest: str = Field(description="sha256 of its model.onnx.")
    shard: int = Field(description="Which shard of the rows, from 0.")
    shards: int = Field(description="How many shards there are.")
    rows: int = Field(description="Rows that were answered.")
    positive: int = Field(description="Of these, the ones of the positive class.")
    unanswered: int = Field(description="Rows whose probability is no number.")
    mean_probability: float | None = Field(description="Mean of the probabilities; none without rows.")
    columns: list[str] = Field(description="Columns of the output.")


@dataclass(frozen=True)
class ReleasedGraph:
    """A released graph, ready to answer.

    Attributes
    ----------
    session : InferenceSession
        The graph; one thread and no more, so that an answer does not depend on who else is in the batch.
    raw : list of RawColumn
        Its inputs.
    classes : list of str
        The classes, the positive one last.
    """

    session: ort.InferenceSession
    raw: list[RawColumn]
    classes: list[str]

    def answer(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return probability (float32) and label of raw rows."""
        names = [column.name for column in self.raw]
        feeds = encode_frame(collect(canonical(frame.lazy(), self.raw).select(names)), self.raw)
        probability, label = self.session.run([PROBABILITY, LABEL], feeds)
        words = pl.Series(LABEL, self.classes, dtype=pl.String)
        return pl.DataFrame({PROBABILITY: pl.Series(probability, dtype=pl.Float32), LABEL: words.gather(label)})


def load_graph(version: Version, deps: Deps, registry: dict[str, Any]) -> ReleasedGraph:
    """Download a version's graph and load it.

    Raises
    ------
    CorruptDataError
        The graph is not the registered one, or was not released by AI Mass.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    with tempfile.TemporaryDirectory(prefix="aimass-predict-") as folder:
        files = open_registry(registry, deps).fetch(version, [GRAPH_FILE, COLUMNS_FILE], Path(folder))
        session = ort.InferenceSession(str(files[0]), options, providers=["CPUExecutionProvider"])
        document = json.loads(files[1].read_text(encoding="utf-8"))
    told = session.get_modelmeta().custom_metadata_map
    if "aimass.classes" not in told or "raw" not in document:
        raise CorruptDataError(f"{version.uri} is no model that AI Mass released", hint="Release it by a pipeline")
    raw = [RawColumn.model_validate(item) for item in document["raw"]]
    return ReleasedGraph(session, raw, json.loads(told["aimass.classes"]))


def _predict(config: PredictConfig, deps: Deps, output: Output) -> PredictResult:
    version = _registered(config, deps, output.position["version"])
    graph = load_graph(version, deps, config.registry)
    dataset = open_dataset(config.dataset, deps)
    kept = _kept(config, dataset)
    roles = {column.name: dict(column.tags) for column in dataset.manifest.columns if column.name in kept}
    tags = {**roles, PROBABILITY: {ROLE: "prediction"}, LABEL: {ROLE: "prediction"}}
    writer = output.dataset(tags=tags)
    rows = positive = unanswered = 0
    total = 0.0
    for start, frame in _batches(config, dataset, [*kept, *(column.name for column in graph.raw)]):
        answers = graph.answer(frame)
        numbers = pl.int_range(start, start + frame.height, dtype=pl.Int64, eager=True).alias(ROW)
        writer.write(pl.concat([numbers.to_frame(), frame.select(kept), answers], how="horizontal"))
        known = answers[PROBABILITY].cast(pl.Float64).fill_nan(None)
        rows += frame.height
        positive += int((answers[LABEL] == graph.classes[-1]).sum())
        unanswered += known.null_count()
        total += float(known.sum())
        deps.progress.report(ProgressEvent("predicting", done=rows, unit="rows"))
    answered = rows - unanswered
    return PredictResult(
        model=config.model,
        version=version.version,
        model_digest=version.digest,
        shard=config.shard,
        shards=config.shards,
        rows=rows,
        positive=positive,
        unanswered=unanswered,
        mean_probability=total / answered if answered else None,
        columns=[ROW, *kept, PROBABILITY, LABEL],
    )


def _batches(config: PredictConfig, dataset: Dataset, columns: list[str]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the shard's rows in order, each batch with the number of its first row; one empty batch without rows."""
    frame = dataset.scan(*config.splits, columns=list(dict.fromkeys(columns)))
    rows = dataset.rows(*config.splits)
    first, end = (rows * shard // config.shards for shard in (config.shard, config.shard + 1))
    for start in range(first, max(end, first + 1), config.batch_rows):
        yield start, collect(frame.slice(start, min(config.batch_rows, end - start)))


def _kept(config: PredictConfig, dataset: Dataset) -> list[str]:
    """Return the columns that are repeated beside the answers."""
    kept = columns_with_role(dataset.manifest.columns, "id") if config.columns is None else config.columns
    dataset.require(*kept)
    if taken := sorted({*kept} & {*OWN_COLUMNS}):
        raise ConfigError(
            f"The column {taken[0]!r} cannot be repeated: the answers have one of that name",
            hint="Name other columns in `columns`",
        )
    return list(dict.fromkeys(kept))


def _registered(config: PredictConfig, deps: Deps, number: str) -> Version:
    found = open_registry(config.registry, deps).version(config.model, number)
    if found is None:
        raise NotFoundError(f"The model {config.model!r} has no version {number!r}", hint="Release it first")
    return found


def _position(config: PredictConfig, deps: Deps) -> dict[str, str]:
    """Return which version answers; every shard of a run gets the same, however aliases move meanwhile."""
    number = config.version or deps.pin(f"predict-{config.model}-{config.alias}", lambda: _aliased(config, deps))
    found = _registered(config, deps, number)
    if found.tags.get(STATE_TAG) == "archived":
        raise ConfigError(f"{found.uri} is archived", hint="Name a version in use, or take its retirement back")
    return {"version": found.version, "digest": found.digest}


def _aliased(config: PredictConfig, deps: Deps) -> str:
    found = open_registry(config.registry, deps).aliased(config.model, config.alias)
    if found is None:
        raise NotFoundError(
            f"Nothing of the model {config.model!r} is called {config.alias!r}", hint="Release it first, or check both"
        )
    return found.version


STAGE = Stage(
    name="predict",
    config=PredictConfig,
    result=PredictResult,
    code_version=1,
    body=_predict,
    position=_position,
    modules=("polars", "onnxruntime", "mlflow"),
)
run = STAGE.run

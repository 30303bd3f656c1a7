"""Make the certificate in a process of its own, from published bytes: nothing of the exporting process is trusted.

``python -m aimass.core.release.certify`` reads a request from standard input and answers on standard output, both JSON.
`certify` is the caller's side.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import onnx
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from aimass.core import errors
from aimass.core.artifacts import Artifact
from aimass.core.datasets import Dataset, collect, open_dataset
from aimass.core.deps import Deps, Runtime
from aimass.core.errors import AimassError, CorruptDataError, EmptyDataError, TransientError
from aimass.core.features.graph import FeatureGraph
from aimass.core.models.base import ModelFamily
from aimass.core.models.candidates import load_candidates, load_model
from aimass.core.release.certificate import Certificate, ParitySettings, Side, compare
from aimass.core.release.export import FEATURES, LABEL, PROBABILITY
from aimass.core.storage import file_digest

PACKAGES = ("onnxruntime", "onnx", "polars", "lightgbm", "scikit-learn", "numpy")
EDGES_PER_FEATURE = 8
BASE_ROWS = 64
BATCH_ROWS = 10_000
REFUSED = 3


class CertifyRequest(BaseModel):
    """What is to be compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runtime: Runtime = Field(description="The surroundings, without the tracking token.")
    onnx: str = Field(description="URI of the released graph.")
    sha256: str = Field(description="Its digest.")
    model: str = Field(description="URI of the artifact with the native model.")
    candidate: str = Field(description="Name of the candidate in it.")
    features: str = Field(description="URI of the featurize stage's output.")
    raw: str = Field(description="URI of the split stage's dataset.")
    threshold: float = Field(description="From which probability on the label is 1.")
    parity: ParitySettings = Field(description="How much is compared.")


def certify(request: CertifyRequest) -> Certificate:
    """Run a fresh process that makes the certificate.

    Raises
    ------
    AimassError
        The process could not do it; the error is the one that it met.
    """
    done = subprocess.run(
        [sys.executable, "-m", "aimass.core.release.certify"],
        input=request.model_dump_json(exclude={"runtime": {"tracking_token"}}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return Certificate.model_validate_json(done.stdout)
    if done.returncode == REFUSED:
        told = json.loads(done.stdout)
        raise _error(told["kind"], told["message"])
    last = done.stderr.strip().splitlines()[-1:] or ["no message"]
    raise TransientError(
        f"The certifying process ended with {done.returncode}: {last[0]}", hint="Retry; -9 means that memory ran out"
    )


def make_certificate(request: CertifyRequest) -> Certificate:
    """Compare the published graph with the native way on held-out and edge rows, in this process."""
    deps = Deps.from_runtime(request.runtime, purpose="release")
    path = deps.store.localize(request.onnx, sha256=request.sha256)
    if file_digest(path) != request.sha256:
        raise CorruptDataError(f"{request.onnx} is not the graph that was exported", expected=request.sha256)
    graph = FeatureGraph.load(Artifact(request.features, deps))
    native = _native_model(request, deps)
    held_out = _held_out(graph, open_dataset(request.raw, deps), request.parity.rows)
    edges = _edges(graph, held_out, native) if request.parity.edge_rows else held_out.clear()
    rows = pl.concat([held_out, edges.select(held_out.columns).cast(held_out.schema)])
    return compare(
        _released_side(graph, onnx.load(str(path)), rows),
        _native_side(graph, native, rows, request.threshold),
        names=graph.outputs,
        rows=held_out.height,
        threshold=request.threshold,
        model_sha256=request.sha256,
        versions={package: version(package) for package in PACKAGES},
    )


def _native_model(request: CertifyRequest, deps: Deps) -> ModelFamily:
    artifact = Artifact(request.model, deps)
    return load_model(artifact, load_candidates(artifact).named(request.candidate))


def _held_out(graph: FeatureGraph, raw: Dataset, wanted: int) -> pl.DataFrame:
    """Return about `wanted` rows that no fit has seen: every n-th one, so that all times are among them."""
    total = raw.rows("validation", "test")
    if total == 0:
        raise EmptyDataError(f"The dataset {raw.uri} has no held-out rows", expected="validation and test rows")
    rows = raw.scan("validation", "test", columns=[name for name, _ in graph.raw_columns])
    return collect(rows.gather_every(max(1, total // wanted)))


def _edges(graph: FeatureGraph, held_out: pl.DataFrame, native: ModelFamily) -> pl.DataFrame:
    return graph.edge_rows(held_out.head(BASE_ROWS), _split_points(native, graph.outputs))


def _split_points(native: ModelFamily, names: list[str]) -> dict[str, list[float]]:
    """Return where the model's trees decide, by feature: a few thresholds each, spread over all of them."""
    found: dict[str, set[float]] = {}
    for node in native.to_onnx(len(names)).graph.node:
        attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        if "nodes_featureids" not in attributes:
            continue
        nodes = zip(attributes["nodes_featureids"], attributes["nodes_values"], attributes["nodes_modes"], strict=True)
        for feature, value, mode in nodes:
            if mode != b"LEAF":
                found.setdefault(names[feature], set()).add(float(value))
    return {name: _spread(sorted(values)) for name, values in found.items()}


def _spread(values: list[float]) -> list[float]:
    indices = np.unique(np.linspace(0, len(values) - 1, EDGES_PER_FEATURE).round().astype(int))
    return [values[index] for index in indices]


def _released_side(graph: FeatureGraph, model: onnx.ModelProto, rows: pl.DataFrame) -> Side:
    """Run the released graph; the matrix in its middle is shown as one more output."""
    import onnxruntime as ort

    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.append(onnx.helper.make_tensor_value_info(FEATURES, onnx.TensorProto.FLOAT, ["N", "F"]))
    session = ort.InferenceSession(shown.SerializeToString(), providers=["CPUExecutionProvider"])
    # Node fusion may not change the answers: the graph as published, without the extra output, has the last word.
    published = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    features, probabilities, labels = [], [], []
    for start in range(0, rows.height, BATCH_ROWS):
        feeds = graph.encode(rows.slice(start, BATCH_ROWS))
        features.append(session.run([FEATURES], feeds)[0])
        probability, label = published.run([PROBABILITY, LABEL], feeds)
        probabilities.append(probability)
        labels.append(label)
    return Side(
        np.concatenate(features), np.concatenate(probabilities).astype(np.float64), np.concatenate(labels).ravel()
    )


def _native_side(graph: FeatureGraph, native: ModelFamily, rows: pl.DataFrame, threshold: float) -> Side:
    frame = collect(graph.transform(rows.lazy()))
    features = np.ascontiguousarray(frame.select(graph.outputs).to_numpy(), dtype=np.float32)
    probability = native.predict_proba(features)
    return Side(features, probability, (probability >= threshold).astype(np.int64))


def _error(kind: str, message: str) -> AimassError:
    known: Any = getattr(errors, kind, AimassError)
    return (
        known(message)
        if issubclass(known, AimassError) and known is not errors.UnknownNameError
        else AimassError(message)
    )


def _answer(document: Mapping[str, Any] | str) -> None:
    sys.stdout.write(document if isinstance(document, str) else json.dumps(document))
    sys.stdout.write("\n")


def main() -> int:
    """Answer one request."""
    try:
        _answer(make_certificate(CertifyRequest.model_validate_json(sys.stdin.read())).model_dump_json())
    except AimassError as error:
        _answer({"kind": type(error).__name__, "message": str(error)})
        return REFUSED
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

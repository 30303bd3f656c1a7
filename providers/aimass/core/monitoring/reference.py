"""The reference that a version is held against later: made at the release, from the rows that it was made with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from aimass.core.datasets import Dataset, batches
from aimass.core.features.graph import FeatureGraph
from aimass.core.monitoring.log import LABEL, PROBABILITY
from aimass.core.monitoring.profile import Profile, Truth

ANSWERED_ROWS = 100_000
BATCH_ROWS = 10_000


def make_profile(graph: FeatureGraph, onnx_file: Path, raw: Dataset, truth: Truth | None) -> Profile:
    """Return the profile of a released graph.

    Parameters
    ----------
    graph : FeatureGraph
        Encodes raw rows.
    onnx_file : Path
        The released graph.
    raw : Dataset
        The split stage's dataset: the columns are profiled on its training part, the answers on the others.
    truth : Truth or None
        The true classes of the test part.
    """
    training = raw.scan("train", columns=[column.name for column in graph.raw])
    profile = Profile.of_frame(training, graph.raw, raw.rows("train"))
    return profile.with_answers(_answers(graph, onnx_file, raw), truth)


def _answers(graph: FeatureGraph, onnx_file: Path, raw: Dataset) -> Iterator[pl.DataFrame]:
    """Yield what the graph answers to held-out rows, evenly spaced ones where there are many."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    step = max(1, math.ceil(raw.rows("validation", "test") / ANSWERED_ROWS))
    rows = raw.scan("validation", "test", columns=[column.name for column in graph.raw]).gather_every(step)
    for batch in batches(rows, rows=BATCH_ROWS):
        probability, label = session.run(["probability", "label"], graph.encode(batch))
        yield pl.DataFrame({PROBABILITY: probability, LABEL: label})

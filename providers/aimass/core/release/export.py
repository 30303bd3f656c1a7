"""The released graph: raw columns in, probability and label out, with what it is written inside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from aimass.core.features.onnx_merge import OPSETS, merge

PROBABILITY = "probability"
LABEL = "label"
FEATURES = "features"


@dataclass(frozen=True)
class GraphFacts:
    """What is written into the graph's metadata.

    Attributes
    ----------
    classes : list of str
        The classes, the positive one last.
    threshold : float
        From which probability on the label is 1.
    graph_digest : str
        sha256 of the feature graph's graph.json.
    producer : str
        Who made it, such as ``aimass 0.1.0``.
    """

    classes: Sequence[str]
    threshold: float
    graph_digest: str
    producer: str


def build_graph(features: onnx.ModelProto, model: onnx.ModelProto, facts: GraphFacts) -> onnx.ModelProto:
    """Join the feature graph and the model, and add the label.

    Parameters
    ----------
    features : ModelProto
        Raw columns (rank 1) to ``features`` float32 [N, n].
    model : ModelProto
        ``features`` to ``probability`` float32 [N].
    facts : GraphFacts
        For the metadata; the threshold also decides the label.

    Returns
    -------
    ModelProto
        Outputs ``probability`` float32 [N] and ``label`` int64 [N]; checked in full.
    """
    merged = merge(features, model)
    # The probability is compared as float64, as the native side does: the threshold keeps all its digits.
    threshold = numpy_helper.from_array(np.array(facts.threshold, dtype=np.float64), "release_threshold")
    merged.graph.initializer.append(threshold)
    merged.graph.node.extend(
        [
            helper.make_node("Cast", [PROBABILITY], ["release_wide"], to=TensorProto.DOUBLE),
            helper.make_node("GreaterOrEqual", ["release_wide", threshold.name], ["release_positive"]),
            helper.make_node("Cast", ["release_positive"], [LABEL], to=TensorProto.INT64),
        ]
    )
    merged.graph.output.append(helper.make_tensor_value_info(LABEL, TensorProto.INT64, ["N"]))
    merged.graph.name = "aimass"
    merged.producer_name = "aimass"
    helper.set_model_props(
        merged,
        {
            "aimass.producer": facts.producer,
            "aimass.classes": json.dumps(list(facts.classes), ensure_ascii=False),
            "aimass.threshold": repr(float(facts.threshold)),
            "aimass.graph_digest": facts.graph_digest,
            "aimass.opset": str(OPSETS[""]),
        },
    )
    onnx.checker.check_model(merged, full_check=True)
    return merged


def export(features: bytes, model: onnx.ModelProto, facts: GraphFacts) -> bytes:
    """Return the released graph as bytes; the same pieces give the same bytes, so that their digest names them."""
    graph = build_graph(onnx.load_from_string(features), model, facts)
    data: bytes = graph.SerializeToString(deterministic=True)
    return data

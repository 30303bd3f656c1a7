"""Merging brings models of different exporters to one form."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from aimass.core.errors import GateRefusedError
from aimass.core.features.onnx_builder import GraphBuilder
from aimass.core.features.onnx_merge import IR_VERSION, OPSETS, merge, normalise


def model(opset: int = 15, domain: str = "", ir_version: int = 8) -> onnx.ModelProto:
    """Return the row sums of a matrix, as an exporter with its own ideas of versions would write it."""
    nodes = [
        helper.make_node("ReduceSum", ["features", "axes"], ["v0"], keepdims=0),
        helper.make_node("Identity", ["v0"], ["probability"]),
    ]
    graph = helper.make_graph(
        nodes,
        "sum",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 2])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["N"])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    opsets = [helper.make_opsetid(domain, opset), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def test_merged_graph_goes_from_raw_columns_to_the_models_output() -> None:
    builder = GraphBuilder()
    builder.add_input("a", "float")
    builder.add_input("b", "int")
    merged = merge(builder.build(["a", "b"]), model())
    assert [item.name for item in merged.graph.input] == ["a", "b", "b__missing"]
    assert [item.name for item in merged.graph.output] == ["probability"]
    assert merged.ir_version == IR_VERSION
    assert {opset.domain: opset.version for opset in merged.opset_import} == OPSETS
    session = onnxruntime.InferenceSession(merged.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"a": np.array([1.0, 2.0]), "b": np.array([3, 4]), "b__missing": np.array([False, False])}
    assert session.run(None, feeds)[0].tolist() == [4.0, 6.0]


def test_normalise_is_idempotent_and_leaves_its_argument_alone() -> None:
    original = model()
    before = original.SerializeToString()
    once = normalise(original)
    assert original.SerializeToString() == before
    assert normalise(once).SerializeToString() == once.SerializeToString()


def test_a_newer_operator_set_is_refused() -> None:
    with pytest.raises(GateRefusedError, match="target_opset"):
        normalise(model(opset=OPSETS[""] + 1, ir_version=11))


def test_equal_nodes_are_made_once() -> None:
    builder = GraphBuilder()
    builder.add_input("a", "float")
    assert builder.op("Abs", "a") == builder.op("Abs", "a")
    assert builder.constant(1.0) == builder.constant(1.0)
    assert builder.constant(1.0) != builder.constant(1, np.int64)

"""From what an exporter makes of a classifier to the shape that the release merges: features in, probability out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

OPSET = 21
ML_OPSET = 3
IR_VERSION = 10
FEATURES = "features"
PROBABILITY = "probability"


def build(nodes: list[Any], initializers: list[Any], n_features: int) -> onnx.ModelProto:
    """Return the checked model with input ``features`` [N, n_features] and output ``probability`` [N], both float32."""
    from onnx import TensorProto, checker, helper

    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["N", n_features])],
        [helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, ["N"])],
        initializers,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="aimass")
    checker.check_model(model, full_check=True)
    return model


def from_classifier(exported: onnx.ModelProto, n_features: int) -> onnx.ModelProto:
    """Cut an exported binary classifier (without ZipMap) down to the probability of its second class.

    Exporters declare old or doubled operator sets; the operators they use for these models (tree ensembles,
    Identity, Cast, Mul) mean the same in ours, and every family's parity is tested on the result.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    given, probabilities = exported.graph.input[0].name, exported.graph.output[1].name
    nodes = _ancestors(list(exported.graph.node), probabilities)
    for node in nodes:
        node.input[:] = [FEATURES if name == given else name for name in node.input]
    used = {name for node in nodes for name in node.input}
    kept = [item for item in exported.graph.initializer if item.name in used]
    positive = numpy_helper.from_array(np.array(1, dtype=np.int64), "positive_class")
    nodes.append(helper.make_node("Gather", [probabilities, positive.name], [PROBABILITY], axis=1))
    return build(nodes, [*kept, positive], n_features)


def from_boosted_trees(exported: onnx.ModelProto, n_features: int) -> onnx.ModelProto:
    """Make an exported binary classifier of boosted trees, whose leaves add up to a log-odds, a sum and a sigmoid.

    ONNX Runtime keeps the two classes of ``TreeEnsembleClassifier`` apart while it walks the trees. The same trees as
    ``TreeEnsembleRegressor``, which adds the same leaves in the same order, take a fifteenth less.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    (trees,) = (node for node in exported.graph.node if node.op_type == "TreeEnsembleClassifier")
    given = {item.name: helper.get_attribute_value(item) for item in trees.attribute}
    if given["post_transform"] != b"LOGISTIC" or len(set(given["class_ids"])) != 1 or given.get("base_values"):
        raise ValueError("The exported trees are not the sum of a log-odds")
    kept = {name: value for name, value in given.items() if name.startswith("nodes_")}
    leaves = {name.replace("class_", "target_"): value for name, value in given.items() if name.startswith("class_")}
    leaves["target_ids"] = [0] * len(given["class_ids"])
    column = numpy_helper.from_array(np.array([-1], dtype=np.int64), "column")
    nodes = [
        helper.make_node(
            "TreeEnsembleRegressor", [FEATURES], ["log_odds"], domain="ai.onnx.ml", n_targets=1, **kept, **leaves
        ),
        helper.make_node("Sigmoid", ["log_odds"], ["probabilities"]),
        helper.make_node("Reshape", ["probabilities", column.name], [PROBABILITY]),
    ]
    return build(nodes, [column], n_features)


def _ancestors(nodes: list[Any], output: str) -> list[Any]:
    """Return the nodes that `output` depends on, in their order."""
    wanted, found = {output}, []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted.update(node.input)
            found.append(node)
    return found[::-1]

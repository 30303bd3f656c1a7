"""Bring ONNX models of different exporters to one form, and join the feature graph with a model's graph."""

from __future__ import annotations

import onnx
from onnx import compose, helper, version_converter

from aimass.core.errors import GateRefusedError

IR_VERSION = 10
ML_DOMAIN = "ai.onnx.ml"
OPSETS = {"": 21, ML_DOMAIN: 3}
"""Operator sets of everything we release: what onnxruntime and the exporters all know."""


def normalise(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` at our IR version and operator sets.

    Raises
    ------
    GateRefusedError
        It needs an operator set newer than ours, or one of another domain.
    """
    found = {"" if opset.domain == "ai.onnx" else opset.domain: opset.version for opset in model.opset_import}
    used = {"" if node.domain == "ai.onnx" else node.domain for node in model.graph.node}
    for domain in used:
        if domain not in OPSETS or found.get(domain, 1) > OPSETS[domain]:
            raise GateRefusedError(
                f"The exported model uses the operator set {domain or 'ai.onnx'!r} {found.get(domain)}",
                expected=", ".join(f"{name or 'ai.onnx'} <= {version}" for name, version in OPSETS.items()),
                hint="Export it with a lower target_opset",
            )
    if found.get("", OPSETS[""]) < OPSETS[""]:
        model = version_converter.convert_version(model, OPSETS[""])
    result = onnx.ModelProto()
    result.CopyFrom(model)
    result.ir_version = IR_VERSION
    del result.opset_import[:]
    result.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in OPSETS.items())
    return result


def merge(features: onnx.ModelProto, model: onnx.ModelProto) -> onnx.ModelProto:
    """Join ``features.onnx`` and a model's graph: raw columns in, the model's outputs out.

    Parameters
    ----------
    features : ModelProto
        Its only output is the float32 matrix.
    model : ModelProto
        Its only input is that matrix.

    Returns
    -------
    ModelProto
        Checked in full; outputs keep the names that `model` gives them.
    """
    before, after = normalise(features), normalise(model)
    after = compose.add_prefix(after, "model_", rename_outputs=False)
    link = (before.graph.output[0].name, after.graph.input[0].name)
    merged = compose.merge_models(before, after, io_map=[link], producer_name="aimass")
    onnx.checker.check_model(merged, full_check=True)
    return merged

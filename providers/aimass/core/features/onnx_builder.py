"""Build an ONNX graph column by column, with all numbers of a step in one matrix so that nodes stay few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from aimass.core.features.onnx_merge import IR_VERSION, ML_DOMAIN, OPSETS
from aimass.core.features.raw import MASK_SUFFIX

FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class _Strings:
    tensor: str


@dataclass(frozen=True)
class _Integers:
    tensor: str
    mask: str


@dataclass(frozen=True)
class _Row:
    """Row `index` of a double matrix of shape [height, N]."""

    matrix: str
    index: int
    height: int


@dataclass(frozen=True)
class _Vector:
    """A double tensor [N]; a raw one may hold infinities, which are missing values."""

    tensor: str
    is_raw: bool


_Value = _Strings | _Integers | _Row | _Vector


class GraphBuilder:
    """Collects nodes; equal nodes and constants are made once.

    Numbers live in matrices of doubles of shape [columns, N]: one node serves all columns of a transform. Strings
    are tensors [N]; whole numbers, booleans and dates are an int64 tensor [N] and a boolean mask [N].
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._made: dict[Any, str] = {}
        self._values: dict[str, _Value] = {}

    # --- inputs -------------------------------------------------------------------------------------------------

    def add_input(self, name: str, kind: str) -> None:
        """Declare the raw column `name`: a string or double tensor [N], or int64 [N] with a boolean mask."""
        if kind == "string":
            self._values[name] = _Strings(self._input(name, TensorProto.STRING))
        elif kind == "float":
            self._values[name] = _Vector(self._input(name, TensorProto.DOUBLE), is_raw=True)
        else:
            tensor = self._input(name, TensorProto.INT64)
            self._values[name] = _Integers(tensor, self._input(name + MASK_SUFFIX, TensorProto.BOOL))

    def _input(self, name: str, element: int) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, element, ["N"]))
        return name

    # --- nodes --------------------------------------------------------------------------------------------------

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, or find the equal one; return the output's name."""
        key = (kind, inputs, domain, repr(sorted(attributes.items())))
        if key not in self._made:
            name = f"v{len(self._nodes)}"
            self._nodes.append(helper.make_node(kind, list(inputs), [name], name=name, domain=domain, **attributes))
            self._made[key] = name
        return self._made[key]

    def constant(self, array: npt.ArrayLike, dtype: npt.DTypeLike = np.float64) -> str:
        """Return the name of a constant."""
        value = np.asarray(array, dtype=dtype)
        content = repr(value.tolist()).encode() if value.dtype == object else value.tobytes()
        key = (value.dtype.str, value.shape, content)
        if key not in self._constants:
            name = f"c{len(self._constants)}"
            self._initializers.append(numpy_helper.from_array(value, name))
            self._constants[key] = name
        return self._constants[key]

    def column(self, values: Sequence[float]) -> str:
        """Return a constant of shape [len(values), 1]: one number per row of a matrix."""
        return self.constant(np.reshape(np.asarray(values, dtype=np.float64), (-1, 1)))

    def ints(self, value: int | Sequence[int] | Sequence[Sequence[int]]) -> str:
        """Return an int64 constant."""
        return self.constant(value, np.int64)

    # --- values of columns --------------------------------------------------------------------------------------

    def strings(self, name: str) -> str:
        """Return the string tensor [N] of the column `name`."""
        value = self._values[name]
        assert isinstance(value, _Strings), f"{name} holds no strings"
        return value.tensor

    def integers(self, name: str) -> tuple[str, str]:
        """Return the int64 tensor [N] and the mask [N] of the column `name`."""
        value = self._values[name]
        assert isinstance(value, _Integers), f"{name} holds no whole numbers"
        return value.tensor, value.mask

    def integer_rows(self, names: Sequence[str]) -> tuple[str, str]:
        """Return the int64 matrix and the mask, both [len(names), N], of whole-number columns."""
        pairs = [self.integers(name) for name in names]
        return self._stack([tensor for tensor, _ in pairs]), self._stack([mask for _, mask in pairs])

    def numbers(self, names: Sequence[str]) -> str:
        """Return the double matrix [len(names), N] of the columns, missing values as NaN."""
        pieces = []
        for (source, _), group in groupby([self._values[name] for name in names], key=_origin):
            values = list(group)
            if isinstance(values[0], _Row):
                pieces.append(self._rows(source, values))
            elif isinstance(values[0], _Vector):
                pieces.append(self._vectors(values))
            else:
                pieces.append(self._masked(values))
        return pieces[0] if len(pieces) == 1 else self.op("Concat", *pieces, axis=0)

    def set_strings(self, name: str, tensor: str) -> None:
        """Give the column `name` a new string tensor [N]."""
        self._values[name] = _Strings(tensor)

    def set_numbers(self, names: Sequence[str], matrix: str) -> None:
        """Give the columns `names` the rows of a double matrix [len(names), N]."""
        for index, name in enumerate(names):
            self._values[name] = _Row(matrix, index, len(names))

    def set_vector(self, name: str, tensor: str) -> None:
        """Give the column `name` a double tensor [N]."""
        self._values[name] = _Vector(tensor, is_raw=False)

    def _stack(self, tensors: Sequence[str]) -> str:
        flat = tensors[0] if len(tensors) == 1 else self.op("Concat", *tensors, axis=0)
        return self.op("Reshape", flat, self.ints([len(tensors), -1]))

    def _vectors(self, values: Sequence[Any]) -> str:
        matrix = self._stack([value.tensor for value in values])
        if not values[0].is_raw:
            return matrix
        return self.op("Where", self.op("IsInf", matrix), self.constant(np.nan), matrix)

    def _masked(self, values: Sequence[Any]) -> str:
        doubles = self.op("Cast", self._stack([value.tensor for value in values]), to=TensorProto.DOUBLE)
        return self.op("Where", self._stack([value.mask for value in values]), self.constant(np.nan), doubles)

    def _rows(self, matrix: str, values: Sequence[Any]) -> str:
        indices = [value.index for value in values]
        if indices == list(range(values[0].height)):
            return matrix
        return self.op("Gather", matrix, self.ints(indices), axis=0)

    # --- the whole ----------------------------------------------------------------------------------------------

    def build(self, outputs: Sequence[str], *, name: str = "features") -> onnx.ModelProto:
        """Return the model: the number columns `outputs` as one float32 matrix [N, len(outputs)] called `name`."""
        matrix = self.numbers(outputs)
        bounded = self.op("Min", self.op("Max", matrix, self.constant(-FLOAT32_MAX)), self.constant(FLOAT32_MAX))
        turned = self.op("Transpose", bounded, perm=[1, 0])
        self._nodes.append(helper.make_node("Cast", [turned], [name], name=name, to=TensorProto.FLOAT))
        shape = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", len(outputs)])
        graph = helper.make_graph(self._nodes, name, self._inputs, [shape], self._initializers)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="aimass")
        onnx.checker.check_model(model, full_check=True)
        return model

    def label_encode(self, tensor: str, **attributes: Any) -> str:
        """Return int64 codes of a string or int64 tensor."""
        return self.op("LabelEncoder", tensor, domain=ML_DOMAIN, **attributes)


def _origin(value: _Value) -> tuple[str, str]:
    """Return what adjacent columns must share to be taken over together."""
    if isinstance(value, _Row):
        return value.matrix, "row"
    assert not isinstance(value, _Strings), "strings reach the matrix only through an encoder"
    return str(isinstance(value, _Vector) and value.is_raw), type(value).__name__

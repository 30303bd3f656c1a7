"""What rows the tensors of a request hold.

Tensors are the raw columns of the model, in any order, and pass the same canonicaliser as the rows of ``/predict``,
so that both doors give the same answers. A missing value is

- null in JSON data, whatever the datatype;
- NaN in floats, and the empty text in BYTES;
- for whole numbers, booleans and dates, whose bytes have no null, a true in the optional BOOL tensor
  ``<column>__missing``, the graph's own mask input. Where that is not sent, nothing is missing but the nulls.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from typing import Any

import numpy as np

from aimass.core.errors import SchemaMismatchError, missing_column, nearest_name
from aimass.core.features.canonical_rows import canonical_value, reserved
from aimass.core.features.raw import MASK_SUFFIX, RawColumn
from aimass.core.features.row_encoder import Block, RowEncoder
from aimass.core.reserved import NULL_STRING
from aimass.serving.errors import MalformedError
from aimass.serving.tensors import Array, Tensor

NATURAL = {"string": "BYTES", "float": "FP64", "int": "INT64", "bool": "BOOL", "date": "INT64"}
"""The datatype that the metadata of a model names for a native kind; a date is microseconds since 1970 UTC."""

PLATFORM = "onnxruntime_onnx"
OUTPUT_METADATA: list[dict[str, Any]] = [
    {"name": "probability", "datatype": "FP32", "shape": [-1]},
    {"name": "label", "datatype": "INT64", "shape": [-1]},
]
"""What every model answers with: the probability of class 1, and the class, 0 or 1, by the model's threshold."""


def block_of(tensors: Iterable[Tensor], encoder: RowEncoder, *, ignore: Container[str] = ()) -> Block:
    """Return the rows of a request in canonical form; tensors of columns to `ignore` are left aside.

    Raises
    ------
    MalformedError
        A tensor is there twice, two have different numbers of rows, or there is none.
    SchemaMismatchError
        A column has no tensor, a tensor is for no column, or its datatype cannot become what the column holds.
    DataError
        A text is the one that is reserved for missing values.
    """
    found = _by_name(tensors)
    n_rows = len(next(iter(found.values())).values)
    block = Block(
        np.empty((len(encoder.strings), n_rows), object),
        np.empty((len(encoder.floats), n_rows), np.float64),
        np.zeros((len(encoder.ints), n_rows), np.int64),
        np.zeros((len(encoder.ints), n_rows), np.bool_),
    )
    for target, column in zip(block.strings, encoder.strings, strict=True):
        _put_texts(target, column, _take(found, column))
    for target, column in zip(block.floats, encoder.floats, strict=True):
        _put_floats(target, column, _take(found, column))
    block.floats[np.isinf(block.floats)] = math.nan
    for target, missing, column in zip(block.ints, block.missing, encoder.ints, strict=True):
        tensor = _masked(_take(found, column), found.pop(column.name + MASK_SUFFIX, None))
        _put_whole(target, missing, column, tensor)
    block.ints[block.missing] = 0
    own = {column.name for column in encoder.columns} if found else set()
    for name in found:
        base = name.removesuffix(MASK_SUFFIX)
        if base in own or base not in ignore:
            raise _unknown(name, encoder.columns)
    return block


def input_metadata(columns: Sequence[RawColumn]) -> list[dict[str, Any]]:
    """Return what the metadata of a model says about its inputs."""
    return [{"name": each.name, "datatype": NATURAL[each.native], "shape": [-1]} for each in columns]


def _by_name(tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for tensor in tensors:
        if tensor.name in found:
            raise MalformedError(f"Tensor {tensor.name!r} is there twice", tensor=tensor.name)
        found[tensor.name] = tensor
    if not found:
        raise MalformedError("The request has no inputs", expected="one tensor for each column of the model")
    lengths = {len(tensor.values): name for name, tensor in found.items()}
    if len(lengths) > 1:
        (one, first), (other, second) = list(lengths.items())[:2]
        raise MalformedError(
            f"Tensor {first!r} has {one} rows and {second!r} has {other}", expected="as many rows in every tensor"
        )
    return found


def _take(found: dict[str, Tensor], column: RawColumn) -> Tensor:
    tensor = found.pop(column.name, None)
    if tensor is None:
        raise missing_column(column.name, found, where="the inputs")
    return tensor


def _unknown(name: str, columns: Sequence[RawColumn]) -> SchemaMismatchError:
    known = [column.name for column in columns]
    nearest = nearest_name(name.removesuffix(MASK_SUFFIX), known)
    return SchemaMismatchError(
        f"Tensor {name!r} is no input of the model",
        known=known,
        hint=f"Did you mean {nearest!r}?" if nearest else "Leave it out",
        column=name,
        nearest=nearest,
    )


def _masked(tensor: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return tensor
    if mask.datatype != "BOOL" or mask.missing is not None:
        raise SchemaMismatchError(
            f"Tensor {mask.name!r} has the datatype {mask.datatype}", expected="BOOL without nulls", column=mask.name
        )
    missing = mask.values if tensor.missing is None else mask.values | tensor.missing
    return Tensor(tensor.name, tensor.datatype, tensor.values, missing)


def _put_texts(target: Array, column: RawColumn, tensor: Tensor) -> None:
    target[:] = _canonical(column, tensor, NULL_STRING)


def _put_floats(target: Array, column: RawColumn, tensor: Tensor) -> None:
    if tensor.values.dtype.kind == "O":
        target[:] = _canonical(column, tensor, math.nan)
        return
    target[:] = tensor.values
    if tensor.missing is not None:
        target[tensor.missing] = math.nan


def _put_whole(target: Array, missing: Array, column: RawColumn, tensor: Tensor) -> None:
    values = tensor.values
    if column.kind != "date" and values.dtype.kind in "iub" and values.dtype != np.uint64:
        target[:] = values
        missing[:] = False if tensor.missing is None else tensor.missing
        return
    cells = _canonical(column, tensor, None)
    target[:] = [0 if cell is None else cell for cell in cells]
    missing[:] = [cell is None for cell in cells]


def _canonical(column: RawColumn, tensor: Tensor, absent: Any) -> list[Any]:
    """Return the cells in canonical form, `absent` where they are missing."""
    cells = tensor.values.tolist()
    if tensor.missing is not None:
        cells = [None if missing else cell for cell, missing in zip(cells, tensor.missing.tolist(), strict=True)]
    known = {cell: canonical_value(cell, column) for cell in set(cells)}  # texts repeat
    if NULL_STRING in known.values():
        raise reserved(column)
    known = {cell: absent if value is None else value for cell, value in known.items()}
    return list(map(known.__getitem__, cells))

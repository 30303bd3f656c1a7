"""Tensors of the Open Inference Protocol (v2) and what a session is fed.

A client sends the raw columns of the model: one tensor of shape [N] (or [N, 1]) per column, in any order. They pass the
same canonicaliser as the rows of ``/predict``, so that both doors give the same answers. A missing value is

- null in JSON data, whatever the datatype;
- NaN in floats, and the empty text in BYTES;
- for whole numbers, booleans and dates, whose bytes have no null, a true in the optional BOOL tensor
  ``<column>__missing``, the graph's own mask input. Where that is not sent, nothing is missing but the nulls.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aimass.core.errors import DataError, SchemaMismatchError, missing_column, nearest_name
from aimass.core.features.canonical import RawColumn
from aimass.core.features.canonical_rows import Feeds, canonical_value
from aimass.core.features.onnx_builder import MASK_SUFFIX
from aimass.core.reserved import NULL_STRING

Array = npt.NDArray[Any]

DATATYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BYTES": np.dtype(object),
}
"""The protocol's datatypes; BYTES is text in UTF-8."""

NATURAL = {"string": "BYTES", "float": "FP64", "int": "INT64", "bool": "BOOL", "date": "INT64"}
"""The datatype that the metadata of a model names for a native kind; a date is microseconds since 1970 UTC."""

_JSON_TYPES: dict[str, frozenset[type]] = {
    "b": frozenset({bool}),
    "i": frozenset({int}),
    "u": frozenset({int}),
    "f": frozenset({int, float}),
    "O": frozenset({str}),
}
_NOTHING = type(None)


class MalformedTensorError(DataError):
    """Sizes, shapes or bytes of a tensor contradict each other or cannot be read: 400, INVALID_ARGUMENT."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input as it arrived.

    Attributes
    ----------
    name, datatype : str
        As the client says.
    values : array, shape (n_rows,)
        Of the datatype's dtype; BYTES are str. What stands where a value is missing has no meaning.
    missing : array, shape (n_rows,), bool, or None
        Where the client said null; None where it nowhere did.
    """

    name: str
    datatype: str
    values: Array
    missing: Array | None = None

    @classmethod
    def from_values(cls, name: str, datatype: str, shape: Sequence[int], data: Sequence[Any]) -> Tensor:
        """Build the tensor of plain values, as JSON or the typed fields of gRPC give them.

        Raises
        ------
        MalformedTensorError
            An unknown datatype; a shape that is no column, or another number of values; a value of another type.
        """
        dtype, n_rows = _declared(name, datatype, shape)
        types = set(map(type, data))
        if types == {list}:
            data = _unnested(name, data)
            types = set(map(type, data))
        if len(data) != n_rows:
            raise MalformedTensorError(
                f"Tensor {name!r} of shape {list(shape)} has {len(data)} values", expected=f"{n_rows}", tensor=name
            )
        wrong = types - _JSON_TYPES[dtype.kind] - {_NOTHING}
        if wrong:
            raise MalformedTensorError(
                f"Tensor {name!r} of datatype {datatype} holds {'a' if len(wrong) == 1 else 'values of types'} "
                f"{', '.join(sorted(each.__name__ for each in wrong))}",
                expected=f"{' or '.join(sorted(each.__name__ for each in _JSON_TYPES[dtype.kind]))}, or null",
                tensor=name,
            )
        missing = np.array([value is None for value in data], np.bool_) if _NOTHING in types else None
        if missing is not None:
            neutral = "" if dtype.kind == "O" else 0
            data = [neutral if value is None else value for value in data]
        return cls(name, datatype, _array(name, datatype, data), missing)

    @classmethod
    def from_bytes(cls, name: str, datatype: str, shape: Sequence[int], raw: bytes | memoryview) -> Tensor:
        """Build the tensor of its little-endian bytes; each text of BYTES follows its length, a uint32.

        Raises
        ------
        MalformedTensorError
            As `from_values`; and where the number of bytes is not what datatype and shape ask for, or is no UTF-8.
        """
        dtype, n_rows = _declared(name, datatype, shape)
        if dtype.kind == "O":
            return cls(name, datatype, _texts(name, n_rows, memoryview(raw)))
        if len(raw) != n_rows * dtype.itemsize:
            raise MalformedTensorError(
                f"Tensor {name!r} has {len(raw)} bytes",
                expected=f"{n_rows * dtype.itemsize}: {n_rows} values of {datatype}, {dtype.itemsize} bytes each",
                tensor=name,
            )
        values = np.frombuffer(raw, dtype)
        if dtype == np.bool_ and values.view(np.uint8).max(initial=0) > 1:
            raise MalformedTensorError(f"Tensor {name!r} of BOOL has bytes above 1", expected="0 and 1", tensor=name)
        return cls(name, datatype, values)


def feeds_of(tensors: Iterable[Tensor], columns: Sequence[RawColumn]) -> Feeds:
    """Return what the session of a model with these raw `columns` is fed; arrays of shape (n_rows,).

    Raises
    ------
    MalformedTensorError
        A tensor is there twice, two have different numbers of rows, or they have none.
    SchemaMismatchError
        A column has no tensor, a tensor is for no column, or its datatype cannot become what the column holds.
    DataError
        A text is the one that is reserved for missing values.
    """
    found = _by_name(tensors)
    feeds: Feeds = {}
    for column in columns:
        tensor = found.pop(column.name, None)
        if tensor is None:
            raise missing_column(column.name, found, where="the inputs")
        mask = found.pop(column.name + MASK_SUFFIX, None) if column.kind not in ("string", "float") else None
        feeds |= _feed(column, _masked(tensor, mask))
    if found:
        raise _unknown(next(iter(found)), columns)
    return feeds


def bytes_of(array: Array) -> bytes:
    """Return an output as little-endian bytes."""
    if array.dtype.kind == "O":
        texts = [str(value).encode() for value in array]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def datatype_of(array: Array) -> str:
    """Return the protocol's name of an output's dtype."""
    return next(name for name, dtype in DATATYPES.items() if dtype == array.dtype)


def input_metadata(columns: Sequence[RawColumn]) -> list[dict[str, Any]]:
    """Return what the metadata of a model says about its inputs."""
    return [{"name": each.name, "datatype": NATURAL[each.native], "shape": [-1]} for each in columns]


# --- reading ------------------------------------------------------------------------------------------------------


def _declared(name: str, datatype: str, shape: Sequence[int]) -> tuple[np.dtype[Any], int]:
    dtype = DATATYPES.get(datatype)
    if dtype is None:
        raise MalformedTensorError(f"Tensor {name!r} has the datatype {datatype[:40]!r}", known=DATATYPES, tensor=name)
    if len(shape) not in (1, 2) or shape[0] < 1 or shape[1:] not in ([], [1], (), (1,)):
        raise MalformedTensorError(
            f"Tensor {name!r} has the shape {list(shape)[:8]}",
            expected="[N] or [N, 1] with N of at least 1: one tensor per column",
            tensor=name,
        )
    return dtype, int(shape[0])


def _unnested(name: str, data: Sequence[Sequence[Any]]) -> list[Any]:
    if set(map(len, data)) != {1}:
        raise MalformedTensorError(
            f"Tensor {name!r} nests lists of other lengths than 1", expected="[a, b, …] or [[a], [b], …]", tensor=name
        )
    return [value for (value,) in data]


def _array(name: str, datatype: str, data: Sequence[Any]) -> Array:
    try:
        with np.errstate(over="ignore"):  # too large for FP32 is an infinity, as it would be in bytes
            return np.array(data, DATATYPES[datatype])
    except OverflowError:
        raise MalformedTensorError(f"Tensor {name!r} holds a number that {datatype} cannot", tensor=name) from None


def _texts(name: str, n_rows: int, raw: memoryview) -> Array:
    """Read `n_rows` texts; the length of `raw` bounds what is allocated."""
    if n_rows * 4 > len(raw):
        raise MalformedTensorError(
            f"Tensor {name!r} of BYTES has {len(raw)} bytes", expected=f"{n_rows * 4} at least", tensor=name
        )
    texts = np.empty(n_rows, dtype=object)
    place = 0
    for index in range(n_rows):
        begin = place + 4
        if begin > len(raw):
            break
        place = begin + int.from_bytes(raw[place:begin], "little")
        try:
            texts[index] = str(raw[begin:place], "utf-8")
        except UnicodeDecodeError:
            raise MalformedTensorError(f"Text {index} of tensor {name!r} is not UTF-8", tensor=name) from None
    if place != len(raw) or texts[-1] is None:
        raise MalformedTensorError(
            f"The lengths in tensor {name!r} do not add up to its {len(raw)} bytes",
            expected=f"{n_rows} texts, each after its length in 4 bytes, little-endian",
            tensor=name,
        )
    return texts


# --- fitting the columns ------------------------------------------------------------------------------------------


def _by_name(tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for tensor in tensors:
        if tensor.name in found:
            raise MalformedTensorError(f"Tensor {tensor.name!r} is there twice", tensor=tensor.name)
        found[tensor.name] = tensor
    lengths = {len(tensor.values): name for name, tensor in found.items()}
    if len(lengths) > 1:
        (one, first), (other, second) = list(lengths.items())[:2]
        raise MalformedTensorError(
            f"Tensor {first!r} has {one} rows and {second!r} has {other}", expected="as many rows in every tensor"
        )
    return found


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


def _feed(column: RawColumn, tensor: Tensor) -> Feeds:
    values, missing = tensor.values, tensor.missing
    if column.kind == "float" and values.dtype.kind in "fiub":
        return {column.name: _floats(values, missing)}
    if column.kind in ("int", "bool") and values.dtype.kind in "iub" and values.dtype != np.uint64:
        return _whole(column, values.astype(np.int64), missing)
    return _by_value(column, values, missing)


def _floats(values: Array, missing: Array | None) -> Array:
    numbers = values.astype(np.float64)
    numbers[np.isinf(numbers)] = math.nan
    if missing is not None:
        numbers[missing] = math.nan
    return numbers


def _whole(column: RawColumn, values: Array, missing: Array | None) -> Feeds:
    if missing is None:
        missing = np.zeros(len(values), np.bool_)
    return {column.name: np.where(missing, 0, values), column.name + MASK_SUFFIX: missing}


def _by_value(column: RawColumn, values: Array, missing: Array | None) -> Feeds:
    """Canonicalise one value after the other: texts, and numbers that become something else."""
    cells = values.tolist()
    if missing is not None:
        cells = [None if absent else cell for cell, absent in zip(cells, missing.tolist(), strict=True)]
    found = [canonical_value(cell, column) for cell in cells]
    if column.kind == "string":
        if NULL_STRING in found:
            raise DataError(
                f"Column {column.name!r} holds the text that is reserved for missing values",
                expected="the empty text where the value is missing",
                column=column.name,
            )
        return {column.name: np.array([NULL_STRING if cell is None else cell for cell in found], dtype=object)}
    if column.kind == "float":
        return {column.name: np.array([math.nan if cell is None else cell for cell in found], dtype=np.float64)}
    absent = np.array([cell is None for cell in found], np.bool_)
    return _whole(column, np.array([0 if cell is None else cell for cell in found], np.int64), absent)

"""Columns as tensors of the Open Inference Protocol: plain values for JSON, little-endian bytes for the rest."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aimass_client.errors import ClientError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MASK_SUFFIX = "__missing"
"""Ends the name of the BOOL tensor that says where a column is missing whose bytes have no null."""

Columns = Mapping[str, Any]
"""Name of a column → its values: a sequence in which None is missing, or a NumPy array."""

DTYPES = {
    "BOOL": "|b1", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "<u1", "UINT16": "<u2",
    "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip


def json_tensors(columns: Columns) -> list[dict[str, Any]]:
    """Return the inputs of a JSON request."""
    tensors = []
    for name, values in columns.items():
        datatype = _datatype_of_array(values) if hasattr(values, "dtype") else _datatype(name, values)
        cells = values.tolist() if hasattr(values, "tolist") else list(values)
        tensors.append({"name": name, "datatype": datatype, "shape": [len(cells)], "data": cells})
    return tensors


def binary_tensors(columns: Columns) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Return the inputs without data, and the bytes of each; needs NumPy.

    A missing float is NaN, a missing text is empty; missing whole numbers and booleans add a mask tensor.
    """
    heads: list[dict[str, Any]] = []
    bodies: list[bytes] = []

    def put(name: str, datatype: str, rows: int, body: bytes) -> None:
        heads.append({"name": name, "datatype": datatype, "shape": [rows]})
        bodies.append(body)

    for name, values in columns.items():
        array, missing = _array(name, values)
        put(name, _datatype_of_array(array), len(array), _bytes(array))
        if missing is not None:
            put(name + MASK_SUFFIX, "BOOL", len(missing), missing.tobytes())
    return heads, bodies


def read_array(datatype: str, body: bytes) -> npt.NDArray[Any]:
    """Return an output that came as bytes."""
    import numpy as np

    if datatype != "BYTES":
        return np.frombuffer(body, DTYPES[datatype])
    texts, place = [], 0
    while place < len(body):
        (length,) = struct.unpack_from("<I", body, place)
        texts.append(body[place + 4 : place + 4 + length].decode())
        place += 4 + length
    return np.array(texts, dtype=object)


def _datatype(name: str, values: Sequence[Any]) -> str:
    types = {type(value) for value in values} - {type(None)}
    if types <= {bool} and types:
        return "BOOL"
    if types <= {int} and types:
        return "INT64"
    if types <= {int, float}:
        return "FP64"
    if types == {str}:
        return "BYTES"
    raise ClientError(
        f"Column {name!r} holds {', '.join(sorted(each.__name__ for each in types))}; "
        "expected: only texts, only booleans, or only numbers, and None where one is missing"
    )


def _array(name: str, values: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
    try:
        import numpy as np
    except ImportError:
        raise ClientError("Tensors as bytes need NumPy; run: pip install 'aimass-client[numpy]'") from None
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return values, None
    cells = list(values)
    datatype = _datatype(name, cells)
    missing = np.array([cell is None for cell in cells])
    neutral = {"BYTES": "", "FP64": np.nan}.get(datatype, 0)
    dtype = object if datatype == "BYTES" else DTYPES[datatype]
    array = np.array([neutral if cell is None else cell for cell in cells], dtype=dtype)
    return array, missing if array.dtype.kind in "bi" and missing.any() else None


def _datatype_of_array(array: npt.NDArray[Any]) -> str:
    if array.dtype.kind in "OUT":
        return "BYTES"
    found = next((name for name, dtype in DTYPES.items() if dtype[1:] == array.dtype.str[1:]), None)
    if found is None:
        raise ClientError(f"An array of {array.dtype} is no tensor; expected: text, booleans or numbers")
    return found


def _bytes(array: npt.NDArray[Any]) -> bytes:
    if array.dtype.kind not in "OUT":
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    texts = [str(value).encode() for value in array]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)

"""Tensors of the Open Inference Protocol (v2), as clients send them and as answers carry them.

A client sends one tensor of shape [N] (or [N, 1]) per raw column of the model; `tensor_rows` makes rows of them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aimass.serving.errors import MalformedError

Array = npt.NDArray[Any]

DATATYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BYTES": np.dtype(object),
}
"""The protocol's datatypes; BYTES is text in UTF-8."""

_JSON_TYPES: dict[str, frozenset[type]] = {
    "b": frozenset({bool}),
    "i": frozenset({int}),
    "u": frozenset({int}),
    "f": frozenset({int, float}),
    "O": frozenset({str}),
}
_NOTHING = type(None)
_LENGTH = struct.Struct("<I")


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
        MalformedError
            An unknown datatype; a shape that is no column, or another number of values; a value of another type.
        """
        dtype, n_rows = _declared(name, datatype, shape)
        types = set(map(type, data))
        if types == {list}:
            data = _unnested(name, data)
            types = set(map(type, data))
        if len(data) != n_rows:
            raise MalformedError(
                f"Tensor {name!r} of shape {list(shape)} has {len(data)} values", expected=f"{n_rows}", tensor=name
            )
        wrong = types - _JSON_TYPES[dtype.kind] - {_NOTHING}
        if wrong:
            raise MalformedError(
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
        MalformedError
            As `from_values`; and where the number of bytes is not what datatype and shape ask for, or is no UTF-8.
        """
        dtype, n_rows = _declared(name, datatype, shape)
        if dtype.kind == "O":
            return cls(name, datatype, _texts(name, n_rows, bytes(raw)))
        if len(raw) != n_rows * dtype.itemsize:
            raise MalformedError(
                f"Tensor {name!r} has {len(raw)} bytes",
                expected=f"{n_rows * dtype.itemsize}: {n_rows} values of {datatype}, {dtype.itemsize} bytes each",
                tensor=name,
            )
        values = np.frombuffer(raw, dtype)
        if dtype == np.bool_ and values.view(np.uint8).max(initial=0) > 1:
            raise MalformedError(f"Tensor {name!r} of BOOL has bytes above 1", expected="0 and 1", tensor=name)
        return cls(name, datatype, values)


def bytes_of(array: Array) -> bytes:
    """Return an output as little-endian bytes."""
    if array.dtype.kind == "O":
        texts = [str(value).encode() for value in array]
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def datatype_of(array: Array) -> str:
    """Return the protocol's name of an output's dtype."""
    return next(name for name, dtype in DATATYPES.items() if dtype == array.dtype)


def _declared(name: str, datatype: str, shape: Sequence[int]) -> tuple[np.dtype[Any], int]:
    dtype = DATATYPES.get(datatype)
    if dtype is None:
        raise MalformedError(f"Tensor {name!r} has the datatype {datatype[:40]!r}", known=DATATYPES, tensor=name)
    if len(shape) not in (1, 2) or shape[0] < 1 or shape[1:] not in ([], [1], (), (1,)):
        raise MalformedError(
            f"Tensor {name!r} has the shape {list(shape)[:8]}",
            expected="[N] or [N, 1] with N of at least 1: one tensor per column",
            tensor=name,
        )
    return dtype, int(shape[0])


def _unnested(name: str, data: Sequence[Sequence[Any]]) -> list[Any]:
    if set(map(len, data)) != {1}:
        raise MalformedError(
            f"Tensor {name!r} nests lists of other lengths than 1", expected="[a, b, …] or [[a], [b], …]", tensor=name
        )
    return [value for (value,) in data]


def _array(name: str, datatype: str, data: Sequence[Any]) -> Array:
    try:
        with np.errstate(over="ignore"):  # too large for FP32 is an infinity, as it would be in bytes
            return np.array(data, DATATYPES[datatype])
    except OverflowError:
        raise MalformedError(f"Tensor {name!r} holds a number that {datatype} cannot", tensor=name) from None


def _texts(name: str, n_rows: int, raw: bytes) -> Array:
    """Read `n_rows` texts; the length of `raw` bounds what is allocated."""
    if n_rows * _LENGTH.size > len(raw):
        raise MalformedError(
            f"Tensor {name!r} of BYTES has {len(raw)} bytes", expected=f"{n_rows * 4} at least", tensor=name
        )
    texts = _short_texts(n_rows, raw)
    if texts is None:
        try:
            texts = [piece.decode() for piece in _pieces(name, n_rows, raw)]
        except UnicodeDecodeError as error:
            raise MalformedError(f"Tensor {name!r} holds text that is not UTF-8: {error}", tensor=name) from None
    return np.array(texts, dtype=object)


def _short_texts(n_rows: int, raw: bytes) -> list[str] | None:
    """Read texts of up to 255 bytes, each once, as they repeat; None where `raw` holds anything else, or a mistake."""
    known: dict[bytes, str] = {}
    texts: list[str] = []
    add, place = texts.append, 0
    try:
        for _ in range(n_rows):
            end = place + 4 + raw[place]
            piece = raw[place:end]
            place = end
            try:
                add(known[piece])
            except KeyError:
                if piece[1:4] != b"\0\0\0":
                    return None
                known[piece] = text = piece[4:].decode()
                add(text)
    except (IndexError, UnicodeDecodeError):
        return None
    return texts if place == len(raw) else None


def _pieces(name: str, n_rows: int, raw: bytes) -> list[bytes]:
    """Return the texts in UTF-8."""
    pieces: list[bytes] = []
    unpack, place = _LENGTH.unpack_from, 0
    try:
        for _ in range(n_rows):
            begin = place + 4
            place = begin + unpack(raw, place)[0]
            pieces.append(raw[begin:place])
    except struct.error:
        place = -1
    if place != len(raw):
        raise MalformedError(
            f"The lengths in tensor {name!r} do not add up to its {len(raw)} bytes",
            expected=f"{n_rows} texts, each after its length in 4 bytes, little-endian",
            tensor=name,
        )
    return pieces

"""From BSON to Arrow, many documents at once: their cursors go from field to field side by side.

Documents of a collection mostly have the same fields in the same order. So one numpy operation compares the next key
of all of them, and another fetches all their values: no Python per document. What this cannot tell for sure (a field
that no column stands for, a value that does not fit, keys in ever other orders) it leaves to `decoding`, document by
document; what it does tell is the same, which a property test proves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import bson
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aimass.core.sources.mongodb.columns import Column, Node, Plan
from aimass.core.sources.mongodb.values import CODEC, EXACT, MAX_DATE_MS, TYPES, MisfitError

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# BSON's types by their numbers, and how many bytes a value has: a fixed number, and perhaps what its length says.
DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, UNDEFINED, OBJECT_ID, BOOLEAN, DATE, NULL = range(1, 11)
CODE, SYMBOL, INT32, TIMESTAMP, INT64, DECIMAL = 13, 14, 16, 17, 18, 19
UNKNOWN_SIZE = -1
_FIXED = np.full(256, UNKNOWN_SIZE, dtype=np.int64)
_FIXED[[DOUBLE, OBJECT_ID, BOOLEAN, DATE, INT32, TIMESTAMP, INT64, DECIMAL]] = [8, 12, 1, 8, 4, 8, 8, 16]
_FIXED[[UNDEFINED, NULL, 127, 255]] = 0
_FIXED[[STRING, CODE, SYMBOL, BINARY, DOCUMENT, ARRAY, 15]] = [4, 4, 4, 5, 0, 0, 0]
_HAS_LENGTH = np.zeros(256, dtype=bool)
_HAS_LENGTH[[STRING, CODE, SYMBOL, BINARY, DOCUMENT, ARRAY, 15]] = True

PADDING = 16
SWEEPS = 3
MAX_ITEMS = 64
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), dtype="<u2")


@dataclass
class _Found:
    """The values of one field: of which documents, of which BSON types, and where their bytes begin and end."""

    rows: list[Ints] = field(default_factory=list)
    types: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    begins: list[Ints] = field(default_factory=list)
    ends: list[Ints] = field(default_factory=list)

    def add(self, rows: Ints, types: npt.NDArray[np.uint8], begins: Ints, ends: Ints) -> None:
        """Note the values of more documents."""
        self.rows.append(rows)
        self.types.append(types)
        self.begins.append(begins)
        self.ends.append(ends)

    def joined(self) -> tuple[Ints, npt.NDArray[np.uint8], Ints, Ints]:
        """Return them in order of their documents."""
        if len(self.rows) == 1:
            return self.rows[0], self.types[0], self.begins[0], self.ends[0]
        rows = np.concatenate(self.rows)
        order = np.argsort(rows, kind="stable")
        types, begins, ends = np.concatenate(self.types), np.concatenate(self.begins), np.concatenate(self.ends)
        return rows[order], types[order], begins[order], ends[order]


class Lockstep:
    """Documents that stand one after the other in `data`.

    Parameters
    ----------
    data : bytes
        Whole BSON documents.
    starts : numpy.ndarray
        Where each begins, shape (n,), ascending; n may be 0.
    plan : Plan
        What they become.

    Attributes
    ----------
    is_odd : numpy.ndarray
        Which documents must be decoded one by one, shape (n,); their values in `table` mean nothing.
    table : pyarrow.Table
        The columns in their natural types, a row per document.
    """

    def __init__(self, data: bytes, starts: Ints, plan: Plan) -> None:
        padded = data + bytes(PADDING)
        self._data = padded
        self._bytes = np.frombuffer(padded, dtype=np.uint8)
        self._n = len(starts)
        self._found = [_Found() for _ in plan.columns]
        ends = np.append(starts, len(data))[1:] - 1
        self.is_odd = self._view("<i4")[starts] != ends + 1 - starts
        with np.errstate(over="ignore", invalid="ignore"):
            self._walk(plan.root, np.arange(self._n), starts + 4, ends)
            columns = [self._column(column, found) for column, found in zip(plan.columns, self._found, strict=True)]
        nulls = [pa.nulls(self._n, each.type) for each in list(plan.natural)[len(columns) :]]
        self.table = pa.table(columns + nulls, schema=plan.natural)

    # --- where the values are ---------------------------------------------------------------------------------------

    def _view(self, dtype: str) -> npt.NDArray[Any]:
        """Return a number that begins at any byte of the data."""
        width = np.dtype(dtype).itemsize
        return np.ndarray((len(self._data) - width + 1,), dtype, self._data, strides=(1,))

    def _walk(self, node: Node, rows: Ints, at: Ints, ends: Ints) -> None:
        """Go through the fields of documents whose first ones begin at `at`, and which end at `ends`."""
        at = at.copy()
        self.is_odd[rows[self._bytes[ends] != 0]] = True
        for _ in range(SWEEPS):
            for name, child in node.children.items():
                is_here = self._has_key(at, name.encode()) & (at < ends)
                if not is_here.any():
                    continue
                here = slice(None) if is_here.all() else np.flatnonzero(is_here)
                at[here] = self._take(child, rows[here], at[here], len(name.encode()) + 2, ends[here])
            is_open = at != ends
            if not is_open.any():
                return
            rows, at, ends = rows[is_open], at[is_open], ends[is_open]
        self.is_odd[rows] = True

    def _has_key(self, at: Ints, key: bytes) -> Bools:
        """Return where the element at `at` has the name `key`; its type stands before, a zero byte after it."""
        text = key + b"\0"
        found = np.ones(len(at), dtype=bool)
        for start in range(0, len(text), 8):
            piece = text[start : start + 8]
            mask = np.uint64((1 << 8 * len(piece)) - 1)
            # A key that is longer than the rest of the data cannot be there.
            place = np.minimum(at + 1 + start, len(self._data) - 8)
            found &= (self._view("<u8")[place] & mask) == np.uint64(int.from_bytes(piece, "little"))
        return found

    def _take(self, node: Node, rows: Ints, at: Ints, skip: int, limits: Ints) -> Ints:
        """Note the values of one field, or go into the documents there; return where the next fields begin."""
        types, begins = self._bytes[at], np.minimum(at + skip, len(self._data) - PADDING)
        ends = begins + self._sizes(types, begins)
        is_bad = (ends > limits) | (ends < begins)
        if is_bad.any():
            self.is_odd[rows[is_bad]] = True
            ends = np.where(is_bad, limits, ends)
        if node.column >= 0:
            self._found[node.column].add(rows, types, begins, ends)
            return ends
        is_document = (types == DOCUMENT) & ~is_bad
        self.is_odd[rows[~is_document & (types != NULL) & (types != UNDEFINED)]] = True
        if is_document.any():
            self._walk(node, rows[is_document], begins[is_document] + 4, ends[is_document] - 1)
        return ends

    def _sizes(self, types: npt.NDArray[np.uint8], begins: Ints) -> Ints:
        sizes: Ints = _FIXED[types]
        has_length = _HAS_LENGTH[types]
        if has_length.all():
            sizes += self._view("<i4")[begins]
            return sizes
        if has_length.any():
            sizes[has_length] += self._view("<i4")[begins[has_length]]
        return sizes

    # --- what the values are ----------------------------------------------------------------------------------------

    def _column(self, column: Column, found: _Found) -> pa.Array:
        """Return one column; documents with a misfit in it become odd."""
        if not found.rows:
            return pa.nulls(self._n, column.natural)
        rows, types, begins, ends = found.joined()
        if len(found.rows) > 1:
            # Who has a field twice is odd: which one counts, the decoder knows.
            self.is_odd[rows[1:][rows[1:] == rows[:-1]]] = True
        is_there = (types != NULL) & (types != UNDEFINED) & ~self.is_odd[rows]
        if not is_there.all():
            rows, types, begins, ends = (part[is_there] for part in (rows, types, begins, ends))
        if column.kind == "list":
            return self._lists(column, rows, types, begins, ends)
        values, fits = self._values(column, types, begins, ends)
        self.is_odd[rows[~fits]] = True
        return _spread(values, rows, self._n)

    def _values(self, column: Column, types: npt.NDArray[np.uint8], begins: Ints, ends: Ints) -> tuple[pa.Array, Bools]:
        """Return the values, and which of them fit the column."""
        reader = _READERS.get(column.kind)
        if reader is None:
            return self._one_by_one(column, types, begins, ends)
        return reader(self, types, begins)

    def _one_by_one(
        self, column: Column, types: npt.NDArray[np.uint8], begins: Ints, ends: Ints
    ) -> tuple[pa.Array, Bools]:
        """Return values of a kind that has no way for many at once."""
        values, fits = [], np.ones(len(types), dtype=bool)
        for index, (kind, begin, end) in enumerate(zip(types.tolist(), begins.tolist(), ends.tolist(), strict=True)):
            document = (end - begin + 8).to_bytes(4, "little") + bytes([kind]) + b"v\0" + self._data[begin:end] + b"\0"
            try:
                values.append(column.convert(bson.decode(document, CODEC)["v"]))
            except (MisfitError, bson.errors.InvalidBSON, UnicodeDecodeError):
                values.append(None)
                fits[index] = False
        return pa.array(values, column.natural), fits

    def _integers(self, types: npt.NDArray[np.uint8], begins: Ints) -> tuple[pa.Array, Bools]:
        numbers = np.zeros(len(types), dtype=np.int64)
        fits = self._fill(numbers, types, begins, {INT32: "<i4", INT64: "<i8"})
        doubles = np.flatnonzero(types == DOUBLE)
        if not len(doubles):
            return pa.array(numbers), fits
        seen = self._view("<f8")[begins[doubles]]
        is_whole = (np.floor(seen) == seen) & (np.abs(seen) < EXACT)
        numbers[doubles] = np.where(is_whole, seen, 0).astype(np.int64)
        fits[doubles] = is_whole | np.isnan(seen)
        is_nan = np.zeros(len(types), dtype=bool)
        is_nan[doubles] = np.isnan(seen)
        return pa.array(numbers, mask=is_nan), fits

    def _doubles(self, types: npt.NDArray[np.uint8], begins: Ints) -> tuple[pa.Array, Bools]:
        numbers = np.zeros(len(types), dtype=np.float64)
        fits = self._fill(numbers, types, begins, {DOUBLE: "<f8", INT32: "<i4"})
        longs = np.flatnonzero(types == INT64)
        if len(longs):
            seen = self._view("<i8")[begins[longs]]
            numbers[longs] = seen
            fits[longs] = (seen <= EXACT) & (seen >= -EXACT)
        is_nan = np.isnan(numbers)
        return pa.array(numbers, mask=is_nan if is_nan.any() else None), fits

    def _dates(self, types: npt.NDArray[np.uint8], begins: Ints) -> tuple[pa.Array, Bools]:
        moments = np.zeros(len(types), dtype=np.int64)
        fits = self._fill(moments, types, begins, {DATE: "<i8"})
        fits &= (moments <= MAX_DATE_MS) & (moments >= -MAX_DATE_MS)
        moments = np.where(fits, moments, 0) * 1_000
        stamps = np.flatnonzero(types == TIMESTAMP)
        if len(stamps):
            moments[stamps] = self._view("<u4")[begins[stamps] + 4].astype(np.int64) * 1_000_000
            fits[stamps] = True
        return pa.array(moments).cast(TYPES["date"]), fits

    def _booleans(self, types: npt.NDArray[np.uint8], begins: Ints) -> tuple[pa.Array, Bools]:
        values = self._bytes[begins]
        return pa.array(values != 0), (types == BOOLEAN) & (values <= 1)

    def _object_ids(self, types: npt.NDArray[np.uint8], begins: Ints) -> tuple[pa.Array, Bools]:
        begins = np.minimum(begins, len(self._data) - 12)
        digits = _HEX[self._view("V12")[begins].view(np.uint8)].tobytes()
        offsets = np.arange(len(types) + 1, dtype=np.int64) * 24
        text = pa.Array.from_buffers(pa.large_string(), len(types), [None, pa.py_buffer(offsets), pa.py_buffer(digits)])
        return text, types == OBJECT_ID

    def _texts(self, types: npt.NDArray[np.uint8], begins: Ints) -> tuple[pa.Array, Bools]:
        # The length counts the zero byte at the end.
        lengths = self._view("<i4")[begins].astype(np.int64) - 1
        fits = ((types == STRING) | (types == CODE) | (types == SYMBOL)) & (lengths >= 0)
        fits &= self._bytes[np.where(fits, begins + 4 + lengths, 0)] == np.where(fits, 0, self._bytes[0])
        found = self._pieces(begins + 4, lengths, fits)
        try:
            return found.cast(pa.large_string()), fits
        except pa.ArrowInvalid:
            bad = [index for index, value in enumerate(found.to_pylist()) if not _is_text(value)]
            fits[bad] = False
            return self._texts_of(found, fits), fits

    def _texts_of(self, found: pa.Array, fits: Bools) -> pa.Array:
        return pa.array(
            [value.decode() if ok else "" for value, ok in zip(found.to_pylist(), fits.tolist(), strict=True)],
            pa.large_string(),
        )

    def _binaries(self, types: npt.NDArray[np.uint8], begins: Ints) -> tuple[pa.Array, Bools]:
        lengths = self._view("<i4")[begins].astype(np.int64)
        # Subtype 2 has a second length inside.
        fits = (types == BINARY) & (lengths >= 0) & (self._bytes[begins + 4] != 2)
        return self._pieces(begins + 5, lengths, fits), fits

    def _pieces(self, begins: Ints, lengths: Ints, fits: Bools) -> pa.Array:
        """Return pieces of the data; empty ones where nothing fits."""
        lengths = np.where(fits, lengths, 0)
        # Every second value of an array over all the data is a piece, the others are what lies between.
        edges = np.stack([begins, begins + lengths], axis=1).reshape(-1)
        count = max(len(edges) - 1, 0)
        everything = pa.Array.from_buffers(
            pa.large_binary(), count, [None, pa.py_buffer(edges), pa.py_buffer(self._data)]
        )
        return everything.take(pa.array(np.arange(0, count, 2)))

    def _fill(
        self, numbers: npt.NDArray[Any], types: npt.NDArray[np.uint8], begins: Ints, views: dict[int, str]
    ) -> Bools:
        """Fetch the numbers of some BSON types; return which are of one of them."""
        fits = np.zeros(len(types), dtype=bool)
        for kind, dtype in views.items():
            is_kind: Bools = types == kind
            if is_kind.all():
                numbers[:] = self._view(dtype)[begins]
                return is_kind
            if is_kind.any():
                numbers[is_kind] = self._view(dtype)[begins[is_kind]]
                fits |= is_kind
        return fits

    def _lists(self, column: Column, rows: Ints, types: npt.NDArray[np.uint8], begins: Ints, ends: Ints) -> pa.Array:
        """Return a column of lists; the n-th items of all of them are fetched together."""
        is_array = types == ARRAY
        self.is_odd[rows[~is_array]] = True
        rows, at, ends = rows[is_array], begins[is_array] + 4, ends[is_array] - 1
        self.is_odd[rows[self._bytes[ends] != 0]] = True
        items = _Found()
        owners, limits = np.arange(len(rows)), ends
        for index in range(MAX_ITEMS):
            key = str(index).encode()
            is_here = (at < limits) & self._has_key(at, key)
            self.is_odd[rows[owners[~is_here & (at != limits)]]] = True
            owners, at, limits = owners[is_here], at[is_here], limits[is_here]
            if not len(owners):
                break
            kinds, starts = self._bytes[at], at + len(key) + 2
            at = starts + self._sizes(kinds, starts)
            is_bad = (at > limits) | (at < starts)
            self.is_odd[rows[owners[is_bad]]] = True
            at = np.where(is_bad, limits, at)
            good = ~is_bad
            items.add(owners[good], kinds[good], starts[good], at[good])
        self.is_odd[rows[owners[at != limits]]] = True
        return self._joined_lists(column, items, rows)

    def _joined_lists(self, column: Column, items: _Found, rows: Ints) -> pa.Array:
        if items.rows:
            owners, kinds, starts, stops = items.joined()
            is_null = (kinds == NULL) | (kinds == UNDEFINED)
            present = np.flatnonzero(~is_null)
            item = Column((), column.item)
            values, fits = self._values(item, kinds[present], starts[present], stops[present])
            self.is_odd[rows[owners[present[~fits]]]] = True
            values = _spread(values, present, len(owners))
            counts = np.bincount(owners, minlength=len(rows))
        else:
            values, counts = pa.nulls(0, TYPES[column.item]), np.zeros(len(rows), dtype=np.int64)
        sizes = np.zeros(self._n, dtype=np.int64)
        sizes[rows] = counts
        is_missing = np.ones(self._n, dtype=bool)
        is_missing[rows] = False
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), values, type=column.natural, mask=pa.array(is_missing))


_Reader = Callable[[Lockstep, npt.NDArray[np.uint8], Ints], tuple[pa.Array, Bools]]
_READERS: dict[str, _Reader] = {
    "integer": Lockstep._integers,
    "double": Lockstep._doubles,
    "boolean": Lockstep._booleans,
    "date": Lockstep._dates,
    "objectid": Lockstep._object_ids,
    "text": Lockstep._texts,
    "binary": Lockstep._binaries,
}


def _spread(values: pa.Array, rows: Ints, n: int) -> pa.Array:
    """Return an array of `n` with `values` at `rows`, ascending, and nulls elsewhere."""
    if len(values) == n:
        return values
    indices = np.zeros(n, dtype=np.int64)
    is_missing = np.ones(n, dtype=bool)
    indices[rows] = np.arange(len(rows))
    is_missing[rows] = False
    return values.take(pa.array(indices, mask=is_missing))


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True

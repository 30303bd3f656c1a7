"""From the bytes of messages to typed rows; what does not fit is told with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from aimass.core.errors import missing_column
from aimass.core.sources.casting import Fault, apply_overrides, cast_table

CONFLUENT_MAGIC = 0
CONFLUENT_PREFIX_BYTES = 5


class UndecodableError(ValueError):
    """A value that is not what it should be; the text is the reason."""


@dataclass(frozen=True)
class Decoded:
    """The rows of some values.

    Attributes
    ----------
    rows : pyarrow.Table
        One row for each value without a fault, in order.
    faults : list of (int, str)
        For each other value its index and the reason, sorted.
    """

    rows: pa.Table
    faults: list[Fault]

    def numbers(self, count: int) -> Any:
        """Return the indices, among `count` values, of those that became rows; an array of int64."""
        is_good = np.ones(count, dtype=bool)
        is_good[[index for index, _ in self.faults]] = False
        return np.flatnonzero(is_good)


class Decoder(Protocol):
    """How values become rows."""

    schema: pa.Schema

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """Return the rows of `values`."""


def typed(wire: Decoded, schema: pa.Schema, count: int) -> Decoded:
    """Return the rows of `count` values as `schema`; rows that do not fit become faults."""
    plain = pa.schema([field for field in schema if not pa.types.is_large_binary(field.type)])
    cast, misfits = cast_table(wire.rows, plain)
    numbers = wire.numbers(count)
    faults = sorted(wire.faults + [(int(numbers[index]), reason) for index, reason in misfits])
    if len(plain) == len(schema):
        return Decoded(cast, faults)
    keep = np.ones(wire.rows.num_rows, dtype=bool)
    keep[[index for index, _ in misfits]] = False
    binary = wire.rows.filter(pa.array(keep))
    columns = [(cast if name in plain.names else binary).column(name) for name in schema.names]
    return Decoded(pa.table(columns, schema=schema), faults)


def decode_each(values: Iterable[bytes], schema: pa.Schema, record_of: Callable[[bytes], Sequence[Any]]) -> Decoded:
    """Decode value by value: `record_of` returns the cells in the order of `schema`, or raises UndecodableError."""
    records, faults = [], []
    for index, value in enumerate(values):
        try:
            records.append(record_of(value))
        except UndecodableError as error:
            faults.append((index, str(error)))
    columns = zip(*records, strict=True) if records else [()] * len(schema)
    arrays = [pa.array(cells, field.type) for cells, field in zip(columns, schema, strict=True)]
    return Decoded(pa.table(arrays, schema=schema), faults)


def selected(schema: pa.Schema, columns: Sequence[str] | None, *, where: str) -> pa.Schema:
    """Return the fields `columns` of `schema` in that order; all where None."""
    for name in columns or ():
        if name not in schema.names:
            raise missing_column(name, schema.names, where=where)
    return schema if columns is None else pa.schema([schema.field(name) for name in columns])


def without_prefix(value: bytes, schema_id: int | None) -> bytes:
    """Return what follows the id of the schema (a zero byte, four bytes of id)."""
    if len(value) < CONFLUENT_PREFIX_BYTES or value[0] != CONFLUENT_MAGIC:
        raise UndecodableError("no schema id before the value")
    found = int.from_bytes(value[1:CONFLUENT_PREFIX_BYTES], "big")
    if schema_id is not None and found != schema_id:
        raise UndecodableError(f"schema id {found} instead of {schema_id}")
    return value[CONFLUENT_PREFIX_BYTES:]


class Layout(NamedTuple):
    """How the values of a topic are laid out, and what is wanted of them, whatever describes their fields.

    Attributes
    ----------
    has_prefix, schema_id : bool, int or None
        Whether the id of a schema registry stands before each value, and which alone is accepted.
    columns, types
        As in the source's settings.
    """

    has_prefix: bool
    schema_id: int | None
    columns: Sequence[str] | None
    types: Mapping[str, str]

    def payload(self, value: bytes) -> bytes:
        """Return the value without the id of its schema; raises UndecodableError."""
        return without_prefix(value, self.schema_id) if self.has_prefix else value


class RecordDecoder:
    """Values whose fields a schema describes, one after the other.

    Parameters
    ----------
    fields : pyarrow.Schema
        What the schema describes.
    layout : Layout
        How values are laid out.
    where : str
        What the schema is called.
    """

    def __init__(self, fields: pa.Schema, layout: Layout, *, where: str) -> None:
        self.layout = layout
        self.wire = selected(fields, layout.columns, where=where)
        self.schema = apply_overrides(self.wire, dict(layout.types))

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """Return the rows of `values`."""
        return typed(decode_each(values, self.wire, self.record), self.schema, len(values))

    def record(self, value: bytes) -> Sequence[Any]:
        """Return the cells of one value, in the order of `wire`; raises UndecodableError."""
        raise TypeError(f"{type(self).__name__} does not say how to read a value")


class RawDecoder:
    """The value as it is, in the column ``value``.

    Parameters
    ----------
    kind : pyarrow.DataType
        ``large_string``, where bytes that are not UTF-8 are faults, or ``large_binary``.
    """

    def __init__(self, kind: pa.DataType) -> None:
        self.schema = pa.schema([("value", kind)])

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """Return the values."""
        array = pa.array(values, pa.large_binary())
        wire = Decoded(pa.table([array], names=["value"]), [])
        return typed(wire, self.schema, len(values))


def text_of(value: bytes) -> str:
    """Return bytes as text; raises UndecodableError."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise UndecodableError("not valid text") from None

"""From messages to a batch of rows: decoded values beside columns about the message, and rejects with their place."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aimass.core.errors import CorruptDataError, SchemaMismatchError
from aimass.core.reserved import NULL_STRING
from aimass.core.sources.base import SourceBatch
from aimass.core.sources.casting import Fault
from aimass.core.sources.kafka.decoding import Decoder, UndecodableError, text_of
from aimass.core.sources.kafka.json_values import compact, parse_json
from aimass.core.sources.kafka.messages import Headers, Messages, Span
from aimass.core.sources.kafka.settings import KafkaSettings
from aimass.core.sources.rejects import rejects, shown

TOMBSTONE = "no value (a tombstone)"


class RowMaker:
    """Makes batches of the rows that the settings describe.

    Parameters
    ----------
    settings : KafkaSettings
        Which columns there are besides the values', and what is done about what does not fit.
    decoder : Decoder
        How values become rows.
    """

    def __init__(self, settings: KafkaSettings, decoder: Decoder) -> None:
        self._settings = settings
        self._decoder = decoder
        self._extras = _extras_schema(settings)
        taken = [name for name in self._extras.names if name in decoder.schema.names]
        if taken:
            raise SchemaMismatchError(
                f"The values have a column {taken[0]!r}, which is also asked for as one about the message",
                expected="names that differ",
                hint=f"Leave {taken[0]!r} out of `columns`, or {taken[0][1:]!r} out of `extras`",
                column=taken[0],
            )
        self.schema = pa.schema([*decoder.schema, *self._extras])

    def batch(self, messages: Messages, span: Span, resume: Any) -> SourceBatch:
        """Return the rows of `messages`, which came from `span`; raises CorruptDataError where poison is an error."""
        count = len(messages)
        tombstones = [index for index, value in enumerate(messages.values) if value is None]
        values, numbers, value_faults = self._decoded(messages, tombstones)
        columns, key_faults = self._columns(messages, span)
        faults = dict(sorted({**dict(key_faults), **dict(value_faults)}.items()))
        if faults and self._settings.on_poison == "error":
            self._refuse(messages, span, faults, tombstones)
        if len(numbers) == count and not faults:
            rows = values
        else:
            dropped = set(faults) | (set(tombstones) if self._settings.on_tombstone != "row" else set())
            kept = np.array([index for index in range(count) if index not in dropped], dtype=np.int64)
            rows = values.take(_places(numbers, kept, count))
            columns = columns.take(pa.array(kept))
        table = pa.table(rows.columns + columns.columns, schema=self.schema) if columns.columns else rows
        return SourceBatch(table, resume, self._rejects(messages, span, faults) if faults else None)

    def lost(self, span: Span, begin: int) -> SourceBatch:
        """Return the batch that tells of messages which were deleted before they were read."""
        end = min(begin, span.end)
        where = f"{span.where}@{span.start}-{end - 1}"
        gone = rejects([where], ["deleted before it was read"], [f"{end - span.start:,} offsets"])
        return SourceBatch(self.schema.empty_table(), end, gone)

    def _decoded(self, messages: Messages, tombstones: list[int]) -> tuple[pa.Table, Any, list[Fault]]:
        """Return decoded rows, the index of each one's message, and the faults by such an index."""
        living: list[bytes] = [value for value in messages.values if value is not None]
        decoded = self._decoder.decode(living)
        numbers = decoded.numbers(len(living))
        if not tombstones:
            return decoded.rows, numbers, decoded.faults
        places = np.delete(np.arange(len(messages)), tombstones)
        faults = [(int(places[index]), reason) for index, reason in decoded.faults]
        if self._settings.on_tombstone == "reject":
            faults += [(index, TOMBSTONE) for index in tombstones]
        return decoded.rows, places[numbers], faults

    def _columns(self, messages: Messages, span: Span) -> tuple[pa.Table, list[Fault]]:
        made: dict[str, Callable[[], Any]] = {
            "_topic": lambda: pa.repeat(pa.scalar(span.topic, pa.large_string()), len(messages)),
            "_partition": lambda: pa.repeat(pa.scalar(span.partition, pa.int32()), len(messages)),
            "_offset": lambda: pa.array(messages.offsets, pa.int64()),
            "_timestamp": lambda: _moments(messages.timestamps_ms),
            "_headers": lambda: pa.array([_headers_text(each) for each in messages.headers], pa.large_string()),
        }
        faults: list[Fault] = []
        columns = []
        for name in self._extras.names:
            if name == "_key":
                keys, faults = _keys(messages.keys, self._settings.key_format)
                columns.append(keys)
            else:
                columns.append(made[name]())
        return pa.table(columns, schema=self._extras), faults

    def _refuse(self, messages: Messages, span: Span, faults: dict[int, str], tombstones: list[int]) -> None:
        for index, reason in faults.items():
            if index not in tombstones:
                raise CorruptDataError(
                    f"The message {span.where}@{messages.offsets[index]} does not fit: {reason}",
                    expected=f"a value in {self._settings.format}",
                    hint="`on_poison: reject` keeps such messages aside and goes on",
                    where=f"{span.where}@{messages.offsets[index]}",
                )

    def _rejects(self, messages: Messages, span: Span, faults: dict[int, str]) -> pa.Table:
        where = [f"{span.where}@{messages.offsets[index]}" for index in faults]
        return rejects(where, list(faults.values()), [shown(messages.values[index] or b"") for index in faults])


def _extras_schema(settings: KafkaSettings) -> pa.Schema:
    key = pa.large_binary() if settings.key_format == "raw" else pa.large_string()
    kinds = {
        "topic": pa.large_string(),
        "partition": pa.int32(),
        "offset": pa.int64(),
        "timestamp": pa.timestamp("us", "UTC"),
        "key": key,
        "headers": pa.large_string(),
    }
    return pa.schema([(f"_{name}", kinds[name]) for name in dict.fromkeys(settings.extras)])


def _places(numbers: Any, kept: Any, count: int) -> pa.Array:
    """Return, for each message that is kept, where its decoded row stands; null where it has none: a row of nulls."""
    place = np.full(count, -1, dtype=np.int64)
    place[numbers] = np.arange(len(numbers))
    return pa.array(place[kept], mask=place[kept] < 0)


def _moments(timestamps_ms: Sequence[int]) -> pa.Array:
    moments = pa.array(timestamps_ms, pa.int64())
    # Brokers say -1 where there is none.
    known = pc.if_else(pc.less(moments, 0), pa.scalar(None, pa.int64()), moments)
    return known.cast(pa.timestamp("ms", "UTC")).cast(pa.timestamp("us", "UTC"))


def _keys(keys: Sequence[bytes | None], spelling: str) -> tuple[pa.Array, list[Fault]]:
    if spelling == "raw":
        return pa.array(keys, pa.large_binary()), []
    read = _json_key if spelling == "json" else text_of
    texts: list[str | None] = []
    faults = []
    for index, key in enumerate(keys):
        try:
            texts.append(None if key is None else read(key))
            if texts[-1] == NULL_STRING:
                raise UndecodableError("the value that stands for null")
        except UndecodableError as error:
            faults.append((index, f"key: {error}"))
            texts[index:] = [None]
    return pa.array(texts, pa.large_string()), faults


def _json_key(key: bytes) -> str:
    try:
        return compact(parse_json(key))
    except RecursionError:
        raise UndecodableError("nested too deeply") from None


def _headers_text(headers: Headers) -> str | None:
    """Return headers as JSON, ``[["name", "value"], …]``: names may stand twice, and their order may count."""
    if not headers:
        return None
    return json.dumps([[name, _header_value(value)] for name, value in headers], ensure_ascii=False)


def _header_value(value: bytes | str | None) -> str | None:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value

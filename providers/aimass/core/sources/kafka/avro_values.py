"""Avro records as rows."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import fastavro
import pyarrow as pa

from aimass.core.errors import ConfigError
from aimass.core.sources.casting import apply_overrides
from aimass.core.sources.kafka.decoding import Decoded, UndecodableError, decode_each, selected, typed, without_prefix
from aimass.core.sources.kafka.nested import json_text

PLAIN = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.large_string(),
    "enum": pa.large_string(),
    "bytes": pa.large_binary(),
    "fixed": pa.large_binary(),
}
LOGICAL = {
    "date": pa.date32(),
    "timestamp-millis": pa.timestamp("us", "UTC"),
    "timestamp-micros": pa.timestamp("us", "UTC"),
    "local-timestamp-millis": pa.timestamp("us"),
    "local-timestamp-micros": pa.timestamp("us"),
    "time-millis": pa.time64("us"),
    "time-micros": pa.time64("us"),
}
MAX_DECIMAL_DIGITS = 38


class AvroDecoder:
    """Records of one schema; nested fields become JSON text.

    Parameters
    ----------
    schema_text : str
        The schema as JSON.
    has_prefix, schema_id : bool, int or None
        Whether the id of a schema registry stands before each value, and which alone is accepted.
    columns, types
        As in the source's settings.
    """

    def __init__(
        self,
        schema_text: str,
        *,
        has_prefix: bool,
        schema_id: int | None,
        columns: Sequence[str] | None,
        types: Mapping[str, str],
    ) -> None:
        self._schema = _parsed(schema_text)
        self._has_prefix, self._schema_id = has_prefix, schema_id
        fields = pa.schema([(field["name"], _type(field["type"])) for field in self._schema["fields"]])
        self._wire = selected(fields, columns, where="the Avro schema")
        self.schema = apply_overrides(self._wire, dict(types))
        nested = {each["name"] for each in self._schema["fields"] if _is_nested(each["type"])}
        self._fields = [(name, name in nested) for name in self._wire.names]

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """Return the rows of `values`."""
        return typed(decode_each(values, self._wire, self._record), self.schema, len(values))

    def _record(self, value: bytes) -> list[Any]:
        stream = io.BytesIO(without_prefix(value, self._schema_id) if self._has_prefix else value)
        try:
            record: Any = fastavro.schemaless_reader(stream, self._schema, None)
        except Exception as error:  # noqa: BLE001 - whatever the library meets in bytes that are no record
            raise UndecodableError(f"not a record of the Avro schema ({type(error).__name__})") from None
        if stream.read(1):
            raise UndecodableError("bytes follow the Avro record")
        return [json_text(record[name]) if is_nested else record[name] for name, is_nested in self._fields]


def _parsed(text: str) -> dict[str, Any]:
    try:
        parsed: Any = fastavro.parse_schema(json.loads(text))
    except (ValueError, KeyError, TypeError, fastavro.schema.SchemaParseException) as error:
        raise ConfigError(
            f"The Avro schema cannot be read: {error}"[:300], expected="the JSON of an Avro record schema"
        ) from None
    if not isinstance(parsed, dict) or parsed.get("type") != "record":
        raise ConfigError("The Avro schema is not one of a record", expected='{"type": "record", "fields": […]}')
    return parsed


def _only(kind: Any) -> Any:
    """Return the one type besides null of a union, or the type itself."""
    if isinstance(kind, list):
        others = [each for each in kind if each != "null"]
        return others[0] if len(others) == 1 else kind
    return kind


def _type(kind: Any) -> pa.DataType:
    kind = _only(kind)
    document = kind if isinstance(kind, dict) else {"type": kind}
    logical = document.get("logicalType")
    if logical == "decimal" and document["precision"] <= MAX_DECIMAL_DIGITS:
        return pa.decimal128(document["precision"], document.get("scale", 0))
    name = document["type"] if isinstance(document["type"], str) else ""
    return LOGICAL.get(str(logical)) or (pa.large_string() if logical else PLAIN.get(name, pa.large_string()))


def _is_nested(kind: Any) -> bool:
    """Return whether values are told as text: what has parts, unions, and logical types that Arrow lacks."""
    kind = _only(kind)
    document = kind if isinstance(kind, dict) else {"type": kind}
    logical = document.get("logicalType")
    if logical is not None:
        return logical not in LOGICAL and not pa.types.is_decimal(_type(kind))
    return not (isinstance(document["type"], str) and document["type"] in PLAIN)

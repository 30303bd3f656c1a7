"""Avro records as rows."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pyarrow as pa

from aimass.core.errors import ConfigError
from aimass.core.sources.kafka.decoding import Layout, RecordDecoder, UndecodableError
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


class AvroDecoder(RecordDecoder):
    """Records of one schema; nested fields become JSON text.

    Parameters
    ----------
    schema_text : str
        The schema as JSON.
    layout : Layout
        How values are laid out.
    """

    def __init__(self, schema_text: str, layout: Layout) -> None:
        self._schema = _parsed(schema_text)
        fields = pa.schema([(field["name"], _type(field["type"])) for field in self._schema["fields"]])
        super().__init__(fields, layout, where="the Avro schema")
        nested = {each["name"] for each in self._schema["fields"] if _is_nested(each["type"])}
        self._fields = [(name, name in nested) for name in self.wire.names]

    def record(self, value: bytes) -> list[Any]:
        """Return the cells of one record."""
        stream = io.BytesIO(self.layout.payload(value))
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

"""Protobuf messages as rows, by a descriptor instead of generated code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from aimass.core.errors import ConfigError, UnknownNameError
from aimass.core.sources.kafka.decoding import Layout, RecordDecoder, UndecodableError
from aimass.core.sources.kafka.nested import json_text

TIMESTAMP = "google.protobuf.Timestamp"
CPP_TYPES = {
    FieldDescriptor.CPPTYPE_INT32: pa.int32(),
    FieldDescriptor.CPPTYPE_INT64: pa.int64(),
    FieldDescriptor.CPPTYPE_UINT32: pa.uint32(),
    FieldDescriptor.CPPTYPE_UINT64: pa.uint64(),
    FieldDescriptor.CPPTYPE_DOUBLE: pa.float64(),
    FieldDescriptor.CPPTYPE_FLOAT: pa.float32(),
    FieldDescriptor.CPPTYPE_BOOL: pa.bool_(),
    FieldDescriptor.CPPTYPE_ENUM: pa.large_string(),
    FieldDescriptor.CPPTYPE_STRING: pa.large_string(),
}
MORE_BITS, LOW_BITS = 0x80, 0x7F
MAX_VARINT_BYTES = 10


class ProtobufDecoder(RecordDecoder):
    """Messages of one type; nested and repeated fields become JSON text, as Protobuf's JSON mapping spells them.

    Parameters
    ----------
    descriptors : bytes
        A serialised ``FileDescriptorSet`` (protoc --include_imports --descriptor_set_out).
    message : str
        Full name of the message.
    layout : Layout
        How values are laid out.
    """

    def __init__(self, descriptors: bytes, message: str, layout: Layout) -> None:
        descriptor = _descriptor(descriptors, message)
        self._class = message_factory.GetMessageClass(descriptor)
        fields = pa.schema([(field.name, _type(field)) for field in descriptor.fields])
        super().__init__(fields, layout, where=f"the message {message}")
        self._cells = [_cell(descriptor.fields_by_name[name]) for name in self.wire.names]

    def record(self, value: bytes) -> list[Any]:
        """Return the cells of one message."""
        payload = self.layout.payload(value)
        if self.layout.has_prefix:
            payload = _without_indexes(payload)
        message = self._class()
        try:
            message.ParseFromString(payload)
            return [cell(message) for cell in self._cells]
        except (DecodeError, ValueError, OverflowError, json_format.Error) as error:
            raise UndecodableError(f"not a message of its type ({type(error).__name__})") from None


def _descriptor(descriptors: bytes, message: str) -> Descriptor:
    try:
        files = descriptor_pb2.FileDescriptorSet.FromString(descriptors)
        pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            pool.Add(file)
        return pool.FindMessageTypeByName(message)
    except KeyError:
        known = [f"{file.package}.{each.name}".lstrip(".") for file in files.file for each in file.message_type]
        raise UnknownNameError("message", message, known) from None
    except (DecodeError, TypeError) as error:
        raise ConfigError(
            f"The Protobuf descriptors cannot be read: {error}"[:300],
            expected="a FileDescriptorSet with everything that it imports",
            hint="protoc --include_imports --descriptor_set_out=FILE",
        ) from None


def _type(field: FieldDescriptor) -> pa.DataType:
    if field.is_repeated:
        return pa.large_string()
    if field.message_type is not None:
        return pa.timestamp("us", "UTC") if field.message_type.full_name == TIMESTAMP else pa.large_string()
    if field.type == FieldDescriptor.TYPE_BYTES:
        return pa.large_binary()
    return CPP_TYPES[field.cpp_type]


def _cell(field: FieldDescriptor) -> Callable[[Message], Any]:
    """Return what reads `field` from a message."""
    read = _reader(field)
    if not field.has_presence:
        return read
    name = field.name
    return lambda message: read(message) if message.HasField(name) else None


def _reader(field: FieldDescriptor) -> Callable[[Message], Any]:
    name = field.name
    if field.is_repeated:
        return lambda message: json_text(_parts(message).get(name, _nothing(field)))
    if field.message_type is not None:
        if field.message_type.full_name == TIMESTAMP:
            return lambda message: _microseconds(getattr(message, name))
        return lambda message: json_text(_parts(getattr(message, name)))
    if field.enum_type is not None:
        numbers = field.enum_type.values_by_number
        return lambda message: _enum_name(numbers, getattr(message, name))
    return lambda message: getattr(message, name)


def _parts(message: Message) -> Any:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def _nothing(field: FieldDescriptor) -> Any:
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    return {} if is_map else []


def _enum_name(numbers: Mapping[int, Any], number: int) -> str:
    return numbers[number].name if number in numbers else str(number)


def _microseconds(moment: Any) -> int:
    return int(moment.seconds * 1_000_000 + moment.nanos // 1_000)


def _without_indexes(value: bytes) -> bytes:
    """Return what follows the list of indexes that says which message of the file it is (zigzag varints)."""
    count, at = _varint(value, 0)
    for _ in range(count):
        _, at = _varint(value, at)
    return value[at:]


def _varint(value: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    for byte in value[at : at + MAX_VARINT_BYTES]:
        found |= (byte & LOW_BITS) << shift
        shift += 7
        at += 1
        if not byte & MORE_BITS:
            return (found >> 1) ^ -(found & 1), at
    raise UndecodableError("no message indexes after the schema id")

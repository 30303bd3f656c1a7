"""Which messages are read, and how they are spelled."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from aimass.core import settings
from aimass.core.settings import OUTSIDE_KEY, ConnectionId, Location

ValueFormat = Literal["json", "avro", "protobuf", "raw"]
Engine = Literal["auto", "kafka-python", "confluent"]
Extra = Literal["topic", "partition", "offset", "timestamp", "key", "headers"]


class KafkaSettings(settings.Settings):
    """Which messages, and how they are spelled."""

    conn_id: ConnectionId = Field(default="aimass_kafka", description="The connection to the cluster.")
    topics: tuple[str, ...] = Field(default=(), description="The topics to read.")
    pattern: str | None = Field(
        default=None, description="Instead of `topics`: a regular expression that the whole name of a topic matches."
    )
    format: ValueFormat = Field(default="json", description="How the values of messages are spelled.")
    value_schema: str | None = Field(
        default=None,
        description="For avro: the schema as JSON. For protobuf: the FileDescriptorSet in base64.",
    )
    value_schema_file: Location | None = Field(
        default=None, description="The same from a file: Avro's JSON, or the FileDescriptorSet as protoc writes it."
    )
    message: str | None = Field(default=None, description="For protobuf: full name of the message.")
    wire_prefix: Literal["none", "confluent"] = Field(
        default="none",
        description="confluent: Avro and Protobuf values begin with the id of their schema in a schema registry.",
    )
    schema_id: int | None = Field(
        default=None, ge=0, description="With wire_prefix confluent: the only id that is accepted; any when empty."
    )
    extras: tuple[Extra, ...] = Field(
        default=(), description="Columns about the message itself: _topic, _partition, _offset, _timestamp …"
    )
    key_format: Literal["string", "json", "raw"] = Field(
        default="string", description="How keys are spelled: the type of the column _key."
    )
    raw_type: Literal["string", "binary"] = Field(
        default="string", description="For raw: the type of the column value."
    )
    start: Literal["earliest", "latest"] | datetime = Field(
        default="earliest",
        description="Where the first read begins: earliest, latest, or a time (the first message with that timestamp).",
    )
    until: datetime | None = Field(
        default=None, description="Read only what came before the first message with this timestamp or a later one."
    )
    max_messages: Annotated[int | None, OUTSIDE_KEY] = Field(
        default=None, ge=1, description="At most so many offsets a read; the next incremental read goes on there."
    )
    isolation: Literal["read_committed", "read_uncommitted"] = Field(
        default="read_committed",
        description="read_committed: only what transactions committed, up to the first that is still open.",
    )
    on_poison: Annotated[Literal["reject", "error"], OUTSIDE_KEY] = Field(
        default="reject", description="What is done about a message that cannot be decoded."
    )
    on_tombstone: Literal["reject", "skip", "row"] = Field(
        default="reject", description="What is done about a message without a value; row: a row of nulls."
    )
    on_lost: Annotated[Literal["error", "accept"], OUTSIDE_KEY] = Field(
        default="error",
        description="What is done when messages were deleted before they were read; accept: a reject tells which.",
    )
    on_recreated: Annotated[Literal["error", "accept"], OUTSIDE_KEY] = Field(
        default="error",
        description="What is done when a topic was deleted and made anew; accept: it is read from its beginning.",
    )
    columns: tuple[str, ...] | None = Field(default=None, description="Only these fields of the values, in this order.")
    types: dict[str, str] = Field(
        default_factory=dict,
        description="Types of single columns instead of the inferred ones: string, integer, double, boolean, date, "
        "timestamp, timestamp_utc …; with `columns`, where all are named, nothing is inferred.",
    )
    sample_rows: int = Field(
        default=10_000, ge=1, description="Messages from which the columns of JSON are inferred (16 MiB at most)."
    )
    engine: Annotated[Engine, OUTSIDE_KEY] = Field(
        default="auto", description="The client library; auto: confluent-kafka where it is installed."
    )

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> KafkaSettings:
        if bool(self.topics) == bool(self.pattern):
            raise ValueError("either `topics` or `pattern` is needed")
        if self.format in ("avro", "protobuf") and bool(self.value_schema) == bool(self.value_schema_file):
            raise ValueError(f"{self.format} needs either `value_schema` or `value_schema_file`")
        if self.format == "protobuf" and not self.message:
            raise ValueError("protobuf needs `message`, the full name of the message")
        if self._meaningless:
            said = ", ".join(f"`{name}`" for name in self._meaningless)
            raise ValueError(f"{said}: no meaning with format {self.format} and wire_prefix {self.wire_prefix}")
        for name in ("start", "until"):
            value = getattr(self, name)
            if isinstance(value, datetime) and value.tzinfo is None:
                raise ValueError(f"`{name}` needs a time zone, such as 2026-01-31T00:00:00Z")
        return self

    @property
    def _meaningless(self) -> list[str]:
        """Names of the settings that would do nothing."""
        has_schema = self.format in ("avro", "protobuf")
        matters = {
            "value_schema": has_schema,
            "value_schema_file": has_schema,
            "message": self.format == "protobuf",
            "schema_id": has_schema and self.wire_prefix == "confluent",
            "wire_prefix": has_schema or self.wire_prefix == "none",
        }
        return [name for name, does in matters.items() if not does and getattr(self, name) is not None]

"""What is read of a MongoDB deployment, as users set it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from aimass.core import settings
from aimass.core.settings import OUTSIDE_KEY, ConnectionId
from aimass.core.sources.mongodb.query import from_text


class MongoDbSettings(settings.Settings):
    """What to read, and how documents become rows."""

    conn_id: ConnectionId = Field(default="aimass_mongodb", description="The connection to the server.")
    collection: str = Field(min_length=1, description="Name of the collection or view.")
    database: str | None = Field(default=None, description="Its database; the connection's when empty.")
    filter: Annotated[dict[str, Any] | None, BeforeValidator(from_text)] = Field(
        default=None,
        description='Only documents that match, as extended JSON: {"at": {"$gte": {"$date": "2026-01-01"}}}.',
    )
    projection: Annotated[dict[str, Any] | None, BeforeValidator(from_text)] = Field(
        default=None, description='Only these fields, {"name": 1, "address.city": 1}, or all but some, {"photo": 0}.'
    )
    pipeline: Annotated[list[dict[str, Any]] | None, BeforeValidator(from_text)] = Field(
        default=None, description="An aggregation pipeline instead of `projection`, as extended JSON; it sees `filter`."
    )
    cursor: str | None = Field(
        default=None,
        description="The field that says what is new, for incremental reads: _id, or one that only grows.",
    )
    lookback: float | None = Field(
        default=None,
        ge=0,
        description="For how long documents may appear below what was read: seconds for ObjectIds and dates (60 when "
        "empty), else units of the number.",
    )
    on_shrink: Annotated[Literal["error", "ignore"], OUTSIDE_KEY] = Field(
        default="error",
        description="What an incremental read does when no document is left of those that were read before.",
    )
    max_depth: int = Field(
        default=3, ge=1, description="Nested documents become columns a.b.c down to this depth; deeper, JSON text."
    )
    arrays: Literal["json", "list"] = Field(
        default="json", description="Whether arrays become JSON text, or lists where their items are of one plain type."
    )
    types: dict[str, str] = Field(
        default_factory=dict,
        description="Types of single columns instead of the inferred ones: string, integer, double, boolean, date, "
        "timestamp_utc, json, binary, decimal(12,2) …; also of fields that the sample does not have.",
    )
    late_fields: Literal["error", "reject", "collect", "ignore"] = Field(
        default="reject",
        description="What to do with a document that has a field the sample has not: fail, keep it aside, collect "
        "the field in the column _extra as JSON, or ignore the field.",
    )
    sample_documents: int = Field(
        default=2_000,
        ge=2,
        description="Documents from which columns are inferred: half the first, half the last; 8 MiB of each at most.",
    )
    batch_documents: Annotated[int, OUTSIDE_KEY] = Field(
        default=10_000, ge=1, description="Documents of one batch, of 16 MB at most."
    )

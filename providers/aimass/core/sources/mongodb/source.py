"""MongoDB as a source: a collection, or what a pipeline makes of it, as flat rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, EmptyDataError, missing_column
from aimass.core.settings import OUTSIDE_KEY, ConnectionId
from aimass.core.sources.base import SourceBatch
from aimass.core.sources.mongodb import keys
from aimass.core.sources.mongodb.batches import BatchDecoder, RawDocuments
from aimass.core.sources.mongodb.columns import Column, Plan, infer, merge, with_types
from aimass.core.sources.mongodb.connection import MongoDbConnection
from aimass.core.sources.mongodb.decoding import look_into
from aimass.core.sources.mongodb.keys import ANY, ID, CollectionKeys, Documents, KeyField, Order
from aimass.core.sources.mongodb.query import Query, check_unique, from_text, parse
from aimass.core.sources.mongodb.sessions import check_exists, connected, moment_of
from aimass.core.sources.mongodb.values import CODEC
from aimass.core.sources.watermark import Watermark, next_watermark

if TYPE_CHECKING:
    import pyarrow as pa

LATE_AT_ONCE = 1_000

Ends = Mapping[str, Sequence[dict[str, Any]]]
"""By field, the documents with its least and its greatest value."""


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
        default=2_000, ge=2, description="Documents from which columns are inferred: half the first, half the last."
    )
    batch_documents: Annotated[int, OUTSIDE_KEY] = Field(
        default=10_000, ge=1, description="Documents of one batch, of 16 MB at most."
    )


class MongoDbSource:
    """The documents of a collection in order of their key: the cursor, then ``_id``."""

    Settings: ClassVar[type[settings.Settings]] = MongoDbSettings
    # A read takes many commands. Only a replica set's snapshots see one moment, and those are gone after minutes.
    consistent: ClassVar[bool] = False

    def __init__(self, settings: MongoDbSettings, deps: Deps) -> None:
        self.settings = settings
        self._deps = deps
        self._query = Query(
            parse(settings.filter or {}, what="filter"),
            parse(settings.projection or {}, what="projection"),
            parse(settings.pipeline, what="pipeline") if settings.pipeline else None,
            is_incremental=bool(settings.cursor),
            batch_documents=settings.batch_documents,
        )

    # --- the protocol -----------------------------------------------------------------------------------------------

    def position(self, since: Any = None) -> dict[str, Any] | None:
        """Return up to which key documents are read, their columns, and what may still come late.

        Raises
        ------
        NotFoundError
            There is no such database or collection.
        ConfigError
            `cursor` is empty and `since` is not, or its values cannot say what is new.
        """
        if since is not None and not self.settings.cursor:
            raise ConfigError(
                "Nothing says which documents are new",
                expected="`cursor`: _id, or a field that only grows",
                hint="Set `cursor`, or read with mode full",
            )
        with self._open() as collection:
            check_exists(collection)
            hello = collection.database.client.admin.command("hello", codec_options=CODEC)
            ends = {} if self._query.is_free else self._ends(collection)
            order = self._order(ends, since)
            watermark = self._watermark(collection, order, ends, since, hello) if order else None
            if watermark is None and since is not None:
                return None
            # Without a cursor, updates and deletes move the position too, by the server's own count of writes.
            moment = None if self.settings.cursor else moment_of(hello)
            return {
                "key": order.document() if order else [],
                "watermark": (watermark or Watermark()).model_dump(mode="json"),
                "columns": self._columns(collection, order, watermark, since) if order and watermark else [],
                "moment": moment,
            }

    def schema(self, position: Any) -> pa.Schema:
        """Return the columns and types; raises EmptyDataError where there are no documents."""
        return self._schema(self._plan(position))

    def read(self, position: Any, resume: Any = None) -> Iterator[SourceBatch]:
        """Yield the rows in batches of one answer of the server."""
        plan = self._plan(position)
        decoder = BatchDecoder(plan, self._schema(plan))
        order = Order.from_document(position["key"])
        watermark = Watermark.model_validate(position["watermark"])
        at = resume or {"late": 0}
        with self._open([column.name for column in plan.columns]) as collection:
            for raw, done in self._late(collection, order, watermark, at.get("late")):
                yield _batch(decoder, raw, done)
            for raw, done in self._range(collection, order, watermark, at.get("key")):
                yield _batch(decoder, raw, done)

    def estimate(self, position: Any) -> int | None:
        """Return about how many rows there are; None where that would be a guess."""
        wanted = self.settings
        if wanted.cursor or wanted.filter or wanted.pipeline:
            return None
        with self._open() as collection:
            return int(collection.estimated_document_count())

    # --- positions --------------------------------------------------------------------------------------------------

    def _ends(self, collection: Documents) -> Ends:
        """Return the first and the last document by each field of the key; none where there is no document."""
        cursor = self.settings.cursor
        names = [ID] if cursor in (None, ID) else [str(cursor), ID]
        return {name: keys.ends(collection, self._query.filter, name) for name in names}

    def _order(self, ends: Ends, since: Any) -> Order | None:
        """Return the key's fields and their kinds; None where there is no document."""
        cursor = self.settings.cursor
        if self._query.is_free:
            return Order((KeyField(ID, ANY),))
        fields = []
        for name, documents in ends.items():
            kinds = {keys.key_kind(keys.field_of(each, name)) for each in documents}
            if not kinds:
                return None
            fields.append(KeyField(name, kinds.pop() if len(kinds) == 1 else ANY))
        order = Order(tuple(fields))
        if cursor:
            order.check_comparable(Order.from_document(since["key"]) if since else None)
        return order

    def _watermark(
        self, collection: Documents, order: Order, ends: Ends, since: Any, hello: Mapping[str, Any]
    ) -> Watermark | None:
        if self._query.is_free:
            return Watermark()
        if not self.settings.cursor:
            return Watermark(to=order.key(ends[ID][-1]))
        now_ms = int(hello["localTime"])
        before = Watermark.model_validate(since["watermark"]) if since else None
        found = CollectionKeys(collection, order, self._query.filter, lookback=self.settings.lookback, now_ms=now_ms)
        return next_watermark(found, before)

    def _columns(self, collection: Documents, order: Order, watermark: Watermark, since: Any) -> list[dict[str, Any]]:
        """Return the columns of a sample, and those of the earlier position."""
        wanted = self.settings
        half = wanted.sample_documents // 2
        sample = [*self._query.sample(collection, order, watermark, half)]
        known = _columns_of(since) if since else []
        where = f"the collection {collection.full_name}"
        found = infer(sample, max_depth=wanted.max_depth, arrays=wanted.arrays, where=where) if sample else []
        columns = merge(known, found)
        cursor = wanted.cursor
        if columns and cursor and not any(f"{cursor}.".startswith(f"{column.name}.") for column in columns):
            raise missing_column(cursor, [column.name for column in columns], where=f"what is read of {where}")
        return [column.document() for column in columns]

    # --- rows -------------------------------------------------------------------------------------------------------

    def _plan(self, position: Any) -> Plan:
        columns = _columns_of(position)
        if not columns:
            raise EmptyDataError(f"The collection {self.settings.collection} has no documents", expected="at least one")
        return Plan(tuple(with_types(columns, self.settings.types)), self.settings.late_fields)

    def _schema(self, plan: Plan) -> pa.Schema:
        """Return the columns that rows have: without ``_id`` where the projection leaves it out."""
        schema = plan.schema
        hidden = [name for name in schema.names if name.partition(".")[0] == ID] if self._query.hides_id else []
        for name in hidden:
            schema = schema.remove(schema.get_field_index(name))
        return schema

    def _late(
        self, collection: Documents, order: Order, watermark: Watermark, first: int | None
    ) -> Iterator[tuple[RawDocuments, Any]]:
        """Yield the documents that came late, by their ids, from the number `first` on."""
        for start in range(first if first is not None else len(watermark.late), len(watermark.late), LATE_AT_ONCE):
            wanted = watermark.late[start : start + LATE_AT_ONCE]
            found = self._query.answers(collection, order, order.these(wanted))
            raw = RawDocuments(b"".join(part.data for part in found))
            # One that was touched since has another key, and comes under that one.
            yield raw.where([order.key(look_into(each)) in wanted for each in raw]), {"late": start + len(wanted)}

    def _range(
        self, collection: Documents, order: Order, watermark: Watermark, start: Any
    ) -> Iterator[tuple[RawDocuments, Any]]:
        """Yield the documents between the watermark's keys that are this position's, after the key `start`."""
        before = start
        for raw in self._query.range(collection, order, watermark, start):
            last = order.key(look_into(raw[len(raw) - 1]))
            if self._query.is_free:
                found = [order.key(look_into(each)) for each in raw]
                check_unique([before, *found])
            before = last
            if watermark.floor is not None and last[0] > watermark.floor:
                raw = raw.where(watermark.takes([order.key(look_into(each)) for each in raw]))
            yield raw, {"key": last}

    # --- the server -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _open(self, columns: Sequence[str] | None = None) -> Iterator[Documents]:
        """Ask the access policy, then yield the collection."""
        connection = self._deps.connection(self.settings.conn_id, MongoDbConnection)
        database = self.settings.database or connection.database
        if not database:
            raise ConfigError(
                f"Neither the source nor the connection {self.settings.conn_id!r} names a database",
                expected="`database` in one of them",
            )
        self._deps.check_read(f"mongodb://{connection.address}/{database}/{self.settings.collection}", columns)
        with connected(connection) as client:
            yield client[database][self.settings.collection]


def _batch(decoder: BatchDecoder, raw: RawDocuments, resume: Any) -> SourceBatch:
    rows, rejects = decoder.decode(raw)
    return SourceBatch(rows=rows, resume=resume, rejects=rejects)


def _columns_of(position: Any) -> list[Column]:
    return [Column.from_document(document) for document in position["columns"]]

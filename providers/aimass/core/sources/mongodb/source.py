"""MongoDB as a source: a collection, or what a pipeline makes of it, as flat rows."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, DataError, EmptyDataError, missing_column
from aimass.core.sources.base import SourceBatch
from aimass.core.sources.mongodb import keys
from aimass.core.sources.mongodb.batches import BatchDecoder, RawDocuments
from aimass.core.sources.mongodb.columns import Column, Plan, infer, merge, with_types
from aimass.core.sources.mongodb.connection import MongoDbConnection
from aimass.core.sources.mongodb.decoding import look_into
from aimass.core.sources.mongodb.keys import ANY, BY_ID, ID, CollectionKeys, Documents, KeyField, Order
from aimass.core.sources.mongodb.query import Query, parse
from aimass.core.sources.mongodb.scope import Scope
from aimass.core.sources.mongodb.sessions import check_exists, connected, moment_of
from aimass.core.sources.mongodb.settings import MongoDbSettings
from aimass.core.sources.mongodb.values import CODEC
from aimass.core.sources.mongodb.whole import Whole, take_whole
from aimass.core.sources.watermark import Watermark, next_watermark

if TYPE_CHECKING:
    import pyarrow as pa

LATE_AT_ONCE = 1_000


class MongoDbSource:
    """The documents of a collection, in order of their key: the cursor, then ``_id``.

    Without a cursor they are first asked for in the server's own order, which costs it no sorting and one query: if all
    fit in memory, that is it. There is no place to go on from in that order, so such a read begins anew after a crash,
    which costs seconds. Of a larger collection they are read in order of ``_id``, and a read goes on where it stood.
    """

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
        self._found: tuple[Any, Scope, Whole | None] | None = None

    # --- the protocol -----------------------------------------------------------------------------------------------

    def position(self, since: Any = None) -> dict[str, Any] | None:
        """Return up to which key documents are read, their columns, and what may still come late.

        Without a cursor, the moment: which documents there are, the read itself finds out.

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
            if not self.settings.cursor:
                # Updates and deletes move the position too, by the server's own count of writes.
                return {"moment": moment_of(hello)}
            earlier = Scope.from_document(since) if since else None
            scope = self._new(collection, earlier, now_ms=int(hello["localTime"]))
        return None if scope is None else {**scope.document(), "moment": None}

    def schema(self, position: Any) -> pa.Schema:
        """Return the columns and types; raises EmptyDataError where there are no documents."""
        scope, _ = self._look(position)
        return self._schema(self._plan(scope.columns))

    def read(self, position: Any, resume: Any = None) -> Iterator[SourceBatch]:
        """Yield the rows in batches of one answer of the server; `resume` is None where all fit in memory."""
        scope, whole = self._look(position)
        plan = self._plan(scope.columns)
        decoder = BatchDecoder(plan, self._schema(plan))
        if whole is not None:
            # They are given away: whoever reads again asks anew.
            self._found = None
        with contextlib.closing(self._pieces(position, scope, plan, whole, resume)) as pieces:
            for raw, done in pieces:
                rows, rejects = decoder.decode(raw)
                yield SourceBatch(rows=rows, resume=done, rejects=rejects)

    def estimate(self, position: Any) -> int | None:
        """Return about how many rows there are; None where that would be a guess."""
        if self._found is not None and self._found[0] == position and self._found[2] is not None:
            return len(self._found[2])
        wanted = self.settings
        if "key" in position or wanted.filter or wanted.pipeline:
            return None
        with self._open() as collection:
            return int(collection.estimated_document_count())

    def partitions(self, position: Any, count: int) -> list[Any]:
        """Cut a position into ranges of the key with about the same number of documents, by a sample of theirs.

        What a pipeline makes in a full read is one piece.
        """
        if count < 2 or self._query.is_free:
            return [position]
        with self._open() as collection:
            scope = Scope.from_document(position) if "key" in position else self._by_id(collection)
            if not scope.watermark.has_range:
                return [position]
            cuts = keys.cuts(collection, scope.order, self._query.filter, scope.watermark, count)
        watermarks = scope.watermark.cut(cuts)
        return [{**position, **piece.document()} for piece in scope.pieces(watermarks)]

    # --- what there is ----------------------------------------------------------------------------------------------

    def _look(self, position: Any) -> tuple[Scope, Whole | None]:
        """Return what a position describes; where it is but a moment, what there is, and all of it if that is little.

        One look serves `schema` and the `read` after it: both see the same columns, and the server is asked once.
        """
        if "key" in position:
            return Scope.from_document(position), None
        if self._found is None or self._found[0] != position:
            with self._open() as collection:
                whole = take_whole(self._query.everything(collection))
                if whole is None:
                    scope = self._by_id(collection)
                else:
                    sample = map(look_into, whole.sample(self._half))
                    scope = Scope(columns=self._columns(collection, sample))
            self._found = (position, scope, whole)
        return self._found[1:]

    def _by_id(self, collection: Documents) -> Scope:
        """Return all documents in order of their ids, up to the greatest one of now."""
        order, watermark = BY_ID, Watermark()
        if not self._query.is_free:
            ends = keys.ends(collection, self._query.filter, [ID])
            if not ends[ID]:
                return Scope()
            order = _order(ends)
            watermark = Watermark(to=order.key(ends[ID][-1]))
        return Scope(order, watermark, self._columns(collection, self._sample(collection, order, watermark)))

    def _new(self, collection: Documents, earlier: Scope | None, *, now_ms: int) -> Scope | None:
        """Return what has come since `earlier`; None where nothing has."""
        cursor = str(self.settings.cursor)
        ends = keys.ends(collection, self._query.filter, list(dict.fromkeys([cursor, ID])))
        if not all(ends.values()):
            if earlier and earlier.watermark.to is not None and self.settings.on_shrink == "error":
                raise _emptied(collection, earlier)
            return None if earlier else Scope()
        order = _order(ends)
        order.check_comparable(earlier.order if earlier else None)
        found = CollectionKeys(
            collection,
            order,
            self._query.filter,
            greatest=order.key(ends[cursor][-1]),
            lookback=self.settings.lookback,
            now_ms=now_ms,
        )
        watermark = next_watermark(found, earlier.watermark if earlier else None)
        if watermark is None:
            return None
        sample = self._sample(collection, order, watermark)
        return Scope(order, watermark, self._columns(collection, sample, earlier.columns if earlier else ()))

    def _sample(self, collection: Documents, order: Order, watermark: Watermark) -> Iterator[dict[str, Any]]:
        return self._query.sample(collection, order, watermark, self._half)

    @property
    def _half(self) -> int:
        return self.settings.sample_documents // 2

    def _columns(
        self, collection: Documents, sample: Iterable[dict[str, Any]], known: Sequence[Column] = ()
    ) -> list[Column]:
        """Return the columns of a sample, and the earlier ones."""
        wanted = self.settings
        documents = [*sample]
        where = f"the collection {collection.full_name}"
        found = infer(documents, max_depth=wanted.max_depth, arrays=wanted.arrays, where=where) if documents else []
        columns = merge(known, found)
        cursor = wanted.cursor
        if columns and cursor and not any(f"{cursor}.".startswith(f"{column.name}.") for column in columns):
            raise missing_column(cursor, [column.name for column in columns], where=f"what is read of {where}")
        return columns

    # --- rows -------------------------------------------------------------------------------------------------------

    def _plan(self, columns: Sequence[Column]) -> Plan:
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

    def _pieces(
        self, position: Any, scope: Scope, plan: Plan, whole: Whole | None, resume: Any
    ) -> Generator[tuple[RawDocuments, Any], None, None]:
        """Yield the documents after `resume`, and where reading stands after each lot of them."""
        names = [column.name for column in plan.columns]
        if whole is not None and resume is None:
            self._check_read(names)
            yield from ((raw, None) for raw in whole.taken())
            return
        at = resume or {"late": 0}
        order, watermark, pinned = scope.order, scope.watermark, {}
        if "key" not in position:
            # The position does not say where the read ends, so its places do, for another attempt.
            order = Order.from_document(at["order"]) if "order" in at else order
            watermark = Watermark(to=at["to"]) if "order" in at else watermark
            pinned = {"order": order.document(), "to": watermark.to}
        with self._open(names) as collection:
            yield from self._late(collection, order, watermark, at.get("late"))
            for raw, last in self._range(collection, order, watermark, at.get("key")):
                yield raw, {"key": last, **pinned}

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
        for raw in self._query.range(collection, order, watermark, start):
            last = order.key(look_into(raw[len(raw) - 1]))
            if watermark.floor is not None and last[0] > watermark.floor:
                raw = raw.where(watermark.takes([order.key(look_into(each)) for each in raw]))
            yield raw, last

    # --- the server -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _open(self, columns: Sequence[str] | None = None) -> Iterator[Documents]:
        """Ask the access policy, then yield the collection."""
        database = self._check_read(columns)
        with connected(self._connection) as client:
            yield client[database][self.settings.collection]

    def _check_read(self, columns: Sequence[str] | None) -> str:
        """Ask the access policy; return the database's name."""
        database = self.settings.database or self._connection.database
        if not database:
            raise ConfigError(
                f"Neither the source nor the connection {self.settings.conn_id!r} names a database",
                expected="`database` in one of them",
            )
        self._deps.check_read(f"mongodb://{self._connection.address}/{database}/{self.settings.collection}", columns)
        return database

    @property
    def _connection(self) -> MongoDbConnection:
        return self._deps.connection(self.settings.conn_id, MongoDbConnection)


def _emptied(collection: Documents, earlier: Scope) -> DataError:
    return DataError(
        f"What was read of the collection {collection.full_name} is gone: no document is left, and the last "
        f"read ended with {earlier.watermark.to}",
        expected="documents that only become more",
        hint="Read it anew under another `name` if it is filled again; set `on_shrink: ignore` if all were deleted on "
        "purpose",
    )


def _order(ends: Mapping[str, Sequence[dict[str, Any]]]) -> Order:
    """Return the order by fields, each of the kind that both its ends are of."""
    found = {name: {keys.key_kind(keys.field_of(each, name)) for each in each_end} for name, each_end in ends.items()}
    return Order(tuple(KeyField(name, kinds.pop() if len(kinds) == 1 else ANY) for name, kinds in found.items()))

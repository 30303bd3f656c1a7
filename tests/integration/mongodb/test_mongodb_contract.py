"""What every source does, by a MongoDB collection; and what only documents can do wrong."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from bson import Binary, Decimal128, Int64, ObjectId

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import (
    ConfigError,
    DataError,
    EmptyDataError,
    NotAllowedError,
    NotFoundError,
    SchemaMismatchError,
    UnreachableError,
)
from aimass.core.sources.mongodb import whole
from aimass.core.sources.mongodb.source import MongoDbSource
from aimass.core.stages import ingest
from aimass.core.stages.ingest import IngestConfig
from aimass.core.stages.ingest_parts import GATHER, PLAN, IngestGatherConfig, IngestPlanConfig
from aimass.core.testing.sources import (
    IncrementalSourceContract,
    SourceContract,
    check_cancel,
    check_chain,
    kept,
    peak_buffered_bytes,
    row_counts,
)
from tests.integration.mongodb.conftest import Table
from tests.integration.peak_memory import growth_bytes
from tests.services.mongodb import ADMIN, ADMIN_PASSWORD, PASSWORD, STRANGER, STRANGER_PASSWORD
from tests.services.proxy import proxy
from tests.services.server import free_port

pytestmark = [pytest.mark.integration("mongodb"), pytest.mark.xdist_group("mongodb")]

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class TestContract(SourceContract):
    @pytest.fixture(params=["_id", "n", "pipeline"])
    def source(self, request: pytest.FixtureRequest, filled: Callable[[int], Table]) -> MongoDbSource:
        table = filled(25)
        table.insert({"n": "no number"} if request.param == "_id" else {"n": 25, "in": "no document"})
        if request.param == "pipeline":
            return table.source(
                cursor="_id", pipeline=[{"$set": {"twice": {"$add": ["$n", "$n"]}}}], batch_documents=10
            )
        return table.source(cursor=request.param, filter={"n": {"$ne": 3}}, batch_documents=10)


class TestEverything(SourceContract):
    """The whole collection, with nothing that says what is new, as it fits in memory or, to try that, does not."""

    @pytest.fixture(params=[32 << 20, 100])
    def whole_bytes(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
        monkeypatch.setattr(whole, "WHOLE_BYTES", request.param)
        return int(request.param)

    @pytest.fixture(params=["plain", "mixed", "grouped"])
    def source(self, request: pytest.FixtureRequest, table: Table, whole_bytes: int) -> MongoDbSource:
        ids: list[Any] = list(range(20))
        if request.param == "mixed":
            ids += ["a", "b", 2.5, ObjectId(), datetime.now(UTC), {"x": 1}, True]
        table.insert(*({"_id": each, "n": n} for n, each in enumerate(ids)))
        pipeline = [{"$group": {"_id": {"$mod": ["$n", 7]}, "sum": {"$sum": "$n"}}}]
        return table.source(batch_documents=6, types={"_id": "json"}, pipeline=pipeline * (request.param == "grouped"))

    def test_position_stands_still_while_nothing_changes(self, source: MongoDbSource) -> None:
        """All but the server's clock of writes, which the stand-in lets go on by itself."""
        positions = [source.position(), source.position()]
        assert positions[0] is not None
        assert positions[1] == {**positions[0], "moment": positions[1]["moment"]}

    def test_only_what_fits_in_memory_begins_anew(self, source: MongoDbSource, whole_bytes: int) -> None:
        """A large collection is not read again from its beginning after a crash."""
        places = [batch.resume for batch in source.read(source.position())]
        assert all(place is None for place in places) == (whole_bytes > 100)


class TestIncremental(IncrementalSourceContract):
    @pytest.fixture(params=["_id", "at"])
    def source(self, request: pytest.FixtureRequest, table: Table) -> MongoDbSource:
        self.add(table, 8)
        return table.source(cursor=request.param, batch_documents=5)

    @pytest.fixture
    def reopen(self, source: MongoDbSource, table: Table) -> Callable[[], MongoDbSource]:
        return lambda: table.source(cursor=source.settings.cursor, batch_documents=5)

    @pytest.fixture
    def add_rows(self, table: Table) -> Callable[[int], None]:
        return lambda count: self.add(table, count)

    @pytest.fixture
    def add_tied_rows(self, source: MongoDbSource, table: Table) -> Callable[[int], None]:
        def add(count: int) -> None:
            last = table.collection.find_one(sort=[("at", -1)])
            table.insert(*({"n": -1, "at": last["at"]} for _ in range(count)))

        return add

    @pytest.fixture
    def add_late_rows(self, table: Table) -> Callable[[int], None]:
        return lambda count: self.add(table, count, behind_s=20)

    @staticmethod
    def add(table: Table, count: int, *, behind_s: int = 0) -> None:
        now = datetime.now(UTC) - timedelta(seconds=behind_s)
        ids = [id_at(now) if behind_s else ObjectId() for _ in range(count)]
        table.insert(
            *({"_id": each, "n": n, "at": now - timedelta(milliseconds=count - n)} for n, each in enumerate(ids))
        )


def id_at(moment: datetime) -> ObjectId:
    """Return an id such as a client makes whose clock shows `moment`."""
    return ObjectId(ObjectId.from_datetime(moment).binary[:4] + ObjectId().binary[4:])


# --- types and shapes -----------------------------------------------------------------------------------------------


def test_types_nulls_and_unicode_come_through(table: Table) -> None:
    moment = datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
    first = {"s": "雪 é\U0001f600", "l": Int64(1 << 62), "d": -0.5, "b": False, "at": moment, "m": Decimal128("-1.50")}
    table.insert({"_id": 1, **first}, {"_id": 2, **dict.fromkeys(first)}, {"_id": 3})
    rows = table.rows()
    assert rows[0]["s"] == first["s"]
    assert [rows[0][name] for name in "ldb"] == [1 << 62, -0.5, False]
    assert rows[0]["at"] == moment
    assert str(rows[0]["m"]) == "-1.50"
    nothing = dict.fromkeys(first)
    assert rows[1:] == [{"_id": 2, **nothing}, {"_id": 3, **nothing}]


def test_a_collection_without_documents_has_no_columns(table: Table) -> None:
    table.insert({"_id": 1})
    table.collection.delete_many({})
    source = table.source()
    with pytest.raises(EmptyDataError, match=table.name):
        source.schema(source.position())


def test_one_document_and_many_fields(table: Table) -> None:
    table.insert({"_id": 1, **{f"column_{i}": i for i in range(500)}})
    assert table.rows()[0] == {"_id": 1, **{f"column_{i}": i for i in range(500)}}


def test_a_huge_cell_comes_through(table: Table) -> None:
    text = "x" * 15_000_000
    table.insert({"_id": 1, "s": text}, {"_id": 2, "s": "small"})
    assert [len(row["s"]) for row in table.rows()] == [len(text), 5]


def test_a_projection_leaves_fields_out(table: Table) -> None:
    table.insert({"_id": 1, "a": {"b": 1, "c": 2}, "d": 3})
    assert table.rows(projection={"_id": 0, "a.b": 1}) == [{"a.b": 1}]
    assert table.rows(projection='{"a": 0}') == [{"_id": 1, "d": 3}]


def test_a_filter_is_extended_json(table: Table) -> None:
    table.insert({"_id": 1, "at": LONG_AGO}, {"_id": 2, "at": datetime.now(UTC)})
    condition = '{"at": {"$gte": {"$date": "2021-01-01T00:00:00Z"}}}'
    assert [row["_id"] for row in table.rows(filter=condition)] == [2]


# --- what is new ----------------------------------------------------------------------------------------------------


def test_documents_from_the_future_wait_until_their_time_has_come(table: Table) -> None:
    soon = ObjectId.from_datetime(datetime.now(UTC) + timedelta(hours=1))
    table.insert({"_id": ObjectId(), "n": 1}, {"_id": soon, "n": 2})
    source = table.source(cursor="_id")
    position = kept(source.position())
    assert [row["n"] for batch in source.read(position) for row in batch.rows.to_pylist()] == [1]
    table.insert({"_id": ObjectId(), "n": 3})
    later = source.position(position)
    assert [row["n"] for batch in source.read(later) for row in batch.rows.to_pylist()] == [3]
    # Without a cursor there is nothing to wait for.
    assert [row["n"] for row in table.rows()] == [1, 2, 3]


def test_new_fields_and_wider_numbers_are_columns_of_the_next_position(table: Table) -> None:
    table.insert({"_id": 1, "n": 1, "gone": "x"})
    source = table.source(cursor="_id")
    first = kept(source.position())
    table.insert({"_id": 2, "n": 1.5, "new": True})
    second = source.position(first)
    assert [str(field.type) for field in source.schema(second)] == ["int64", "double", "large_string", "bool"]
    assert source.schema(second).names == ["_id", "n", "gone", "new"]


def test_an_id_that_changes_its_type_is_an_error(table: Table) -> None:
    table.insert({"_id": 1})
    source = table.source(cursor="_id")
    first = kept(source.position())
    table.insert({"_id": "a"})
    with pytest.raises(ConfigError, match="another type"):
        source.position(first)


def test_a_source_that_shrinks_gives_what_is_left(table: Table) -> None:
    table.insert(*({"_id": i} for i in range(10)))
    source = table.source(cursor="_id")
    first = kept(source.position())
    table.collection.delete_many({"_id": {"$gte": 5}})
    assert source.position(first) is None
    assert sum(batch.rows.num_rows for batch in source.read(first)) == 5


def test_an_emptied_collection_is_told_where_it_was_read_before(table: Table) -> None:
    table.insert({"_id": 1})
    first = kept(table.source(cursor="_id").position())
    table.collection.delete_many({})
    with pytest.raises(DataError, match="is gone"):
        table.source(cursor="_id").position(first)
    assert table.source(cursor="_id", on_shrink="ignore").position(first) is None
    table.insert({"_id": 2})
    assert [row["_id"] for row in table.rows(cursor="_id")] == [2]


def test_late_ids_of_another_client_are_told_once(table: Table) -> None:
    def add(seconds_ago: int) -> None:
        at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        table.insert({"_id": id_at(at), "x": 1})

    add(0)
    check_chain(lambda: table.source(cursor="_id"), [lambda ago=ago: add(ago) for ago in (30, 0, 45, 50)])


def test_without_a_cursor_nothing_says_what_is_new(table: Table) -> None:
    table.insert({"_id": 1})
    source = table.source()
    with pytest.raises(ConfigError, match="`cursor`"):
        source.position(source.position())


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"pipeline": [{"$unwind": "$a"}], "cursor": "_id"}, ConfigError, r"\$unwind"),
        ({"pipeline": [{"$project": {"_id": 0}}], "cursor": "_id"}, ConfigError, r"\$project"),
        ({"pipeline": [{"$out": "x"}]}, ConfigError, "it writes"),
        ({"pipeline": [{"$facet": {"a": [{"$merge": "x"}]}}]}, ConfigError, "it writes"),
        ({"filter": {"$where": "sleep(1)"}}, ConfigError, "JavaScript"),
        ({"filter": {"$or": [{"$expr": {"$function": {}}}]}}, ConfigError, "JavaScript"),
        ({"filter": {"$nonsense": 1}}, ConfigError, r"\$nonsense"),
        ({"filter": "{"}, ConfigError, "not JSON"),
        ({"pipeline": [{"$nonsense": 1}]}, ConfigError, r"\$nonsense"),
        ({"pipeline": [{"$match": {}}], "projection": {"a": 1}}, ConfigError, "one of them"),
        ({"pipeline": [{"$unwind": "$a"}]}, DataError, "same _id"),
        ({"cursor": "a"}, ConfigError, "cannot say what is new"),
        ({"cursor": "n", "projection": {"a": 1}}, SchemaMismatchError, "'n'"),
        ({"types": {"n": "intger"}}, ConfigError, "integer"),
    ],
)
def test_what_cannot_be_asked_is_told(table: Table, options: dict[str, Any], error: type[Exception], said: str) -> None:
    table.insert({"_id": 1, "a": [1, 2], "n": 1})
    with pytest.raises(error, match=said):
        table.rows(**options)


def test_an_unknown_name_is_told_with_the_nearest(table: Table) -> None:
    table.insert({"_id": 1})
    with pytest.raises(NotFoundError, match=f"Did you mean '{table.name}'"):
        table.source(collection=f"{table.name}x").position()
    if table.server.is_own:
        everywhere = {"user": ADMIN, "password": ADMIN_PASSWORD}
        with pytest.raises(NotFoundError, match=f"Did you mean '{table.server.database}'"):
            table.source(everywhere, database=f"{table.server.database}x").position()
    with pytest.raises(ConfigError, match="names a database"):
        table.source({"database": None}).position()


# --- pieces ---------------------------------------------------------------------------------------------------------


IDS: dict[str, list[Any]] = {
    "objectids": [ObjectId() for _ in range(400)],
    "numbers": [n * n / 2 for n in range(400)],
    "texts": [f"雪{n}" for n in range(400)],
    "uuids": [Binary.from_uuid(UUID(int=n << 100)) for n in range(400)],
    "mixed": [
        *range(100),
        *(f"t{n}" for n in range(100)),
        *(ObjectId() for _ in range(100)),
        *({"x": n} for n in range(100)),
    ],
}


@pytest.mark.parametrize("kind", IDS)
def test_a_collection_is_cut_by_its_ids(table: Table, kind: str) -> None:
    table.insert(*({"_id": each, "n": n} for n, each in enumerate(IDS[kind])))
    source = table.source(types={"_id": "json"})
    pieces = kept(source.partitions(source.position(), 4))
    sizes = [sum(batch.rows.num_rows for batch in source.read(piece)) for piece in pieces]
    assert len(sizes) == 4
    assert sum(sizes) == 400
    assert min(sizes) > 30, "a sample of 200 ids cuts 400 documents into about equal pieces"


@pytest.mark.parametrize("batch_documents", [7, 1])
def test_documents_that_came_late_are_in_one_piece(table: Table, batch_documents: int) -> None:
    table.insert(*({"_id": ObjectId(), "n": n} for n in range(20)))
    source = table.source(cursor="_id", batch_documents=batch_documents)
    first = kept(source.position())
    late = [id_at(datetime.now(UTC) - timedelta(seconds=30)) for _ in range(3)]
    table.insert(*({"_id": each, "n": -1} for each in late), *({"_id": ObjectId(), "n": n} for n in range(40)))
    second = kept(source.position(first))
    pieces = kept(source.partitions(second, 3))
    assert len(pieces) == 3
    assert sum((row_counts(source, piece) for piece in pieces), Counter()) == row_counts(source, second)
    assert row_counts(source, second).total() == 43
    # What has come since is in no piece.
    table.insert({"_id": ObjectId(), "n": 99}, {"_id": id_at(datetime.now(UTC) - timedelta(seconds=20)), "n": 99})
    assert sum(row_counts(source, piece).total() for piece in pieces) == 43
    # What is gone again is not waited for.
    table.collection.delete_many({"_id": {"$in": late}})
    assert sum(row_counts(source, piece).total() for piece in pieces) == 40


@pytest.mark.parametrize("cursor", ["_id", None])
def test_pieces_are_gathered_into_one_dataset(filled: Callable[[int], Table], cursor: str | None) -> None:
    table = filled(60)
    mode: Any = "incremental" if cursor else "full"
    config = IngestConfig(name="t", source=table.document(cursor=cursor, batch_documents=8), mode=mode)
    deps = Deps.from_runtime(table.runtime())
    plan = PLAN.run(IngestPlanConfig(ingest=config, count=3), deps)
    assert len(plan.configs) == 3
    pieces = [ingest.run(IngestConfig(**piece), deps) for piece in plan.configs]
    assert all(piece.rows for piece in pieces)
    result = GATHER.run(IngestGatherConfig(ingest=config, pieces=[piece.uri for piece in pieces]), deps)
    assert sorted(open_dataset(result.uri, deps).read()["n"]) == list(range(60))


# --- the server -----------------------------------------------------------------------------------------------------


def test_wrong_passwords_and_missing_rights_are_refused(table: Table) -> None:
    table.insert({"_id": 1})
    with pytest.raises(NotAllowedError, match="reader") as wrong:
        table.source({"password": "Wrong-Secret-1"}).position()
    assert "Wrong-Secret-1" not in str(wrong.value)
    for login in (
        {"user": STRANGER, "password": STRANGER_PASSWORD},
        {"user": None, "password": None, "auth_source": None},
    ):
        for cursor in ("_id", None):
            source = table.source(login, cursor=cursor)
            with pytest.raises(NotAllowedError, match="`read`"):
                source.schema(source.position())


@pytest.mark.parametrize("connection", [{"port": free_port()}, {"host": "no-such-host.invalid"}])
def test_nobody_there_is_worth_another_try(table: Table, connection: dict[str, Any]) -> None:
    source = table.source({"timeout_s": 0.5, **connection})
    with pytest.raises(UnreachableError, match="does not answer"):
        source.position()


def test_a_cut_connection_is_worth_another_try(filled: Callable[[int], Table]) -> None:
    table = filled(400)
    whole = table.rows(cursor="_id")
    with proxy(table.server.host, table.server.port) as between:
        source = table.source({"port": between.port, "is_direct": True}, cursor="_id", batch_documents=20)
        position = source.position()
        reading = source.read(position)
        first = next(reading)
        between.go_down()
        with pytest.raises(UnreachableError):
            list(reading)
        between.come_up()
        found = [first, *source.read(position, first.resume)]
    assert [row for batch in found for row in batch.rows.to_pylist()] == whole


def test_a_large_collection_goes_on_where_another_process_stopped(
    filled: Callable[[int], Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it has become a small one: what was written stays, and nothing is read twice."""
    monkeypatch.setattr(whole, "WHOLE_BYTES", 1_000)
    table = filled(100)
    position = table.source().position()
    reading = table.source(batch_documents=30).read(position)
    first = next(reading)
    monkeypatch.setattr(whole, "WHOLE_BYTES", 1 << 20)
    table.insert({"n": 100, "in": {"text": "new"}})
    rest = [*table.source(batch_documents=30).read(position, kept(first.resume))]
    numbers = [n for batch in [first, *rest] for n in batch.rows.column("n").to_pylist()]
    assert numbers == list(range(100))


def test_what_fits_in_memory_is_asked_for_once(filled: Callable[[int], Table]) -> None:
    """The read gives what was there when its columns were looked for, and knows how much that is."""
    table = filled(30)
    source = table.source(batch_documents=10, types={"new": "integer"})
    position = source.position()
    source.schema(position)
    table.insert({"n": 30, "new": 1})
    assert source.estimate(position) == 30
    assert sum(batch.rows.num_rows for batch in source.read(position)) == 30
    assert sum(batch.rows.num_rows for batch in source.read(position)) == 31


def test_reading_can_be_stopped(filled: Callable[[int], Table]) -> None:
    source = filled(50).source(batch_documents=10)
    check_cancel(source, source.position())


@pytest.mark.parametrize("whole_bytes", [1_000_000, 32_000_000])
def test_memory_is_that_of_some_batches(table: Table, monkeypatch: pytest.MonkeyPatch, whole_bytes: int) -> None:
    monkeypatch.setattr(whole, "WHOLE_BYTES", whole_bytes)
    table.insert(*({"_id": i, "s": "x" * 10_000} for i in range(600)))
    source = table.source(batch_documents=50)
    assert peak_buffered_bytes(source, source.position()) < 4_000_000


def test_no_secret_is_written_anywhere(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    table.insert({"_id": 1, "n": 1}, {"_id": 2, "n": "x"})
    deps = Deps.from_runtime(table.runtime())
    config = IngestConfig(name="t", source=table.document(), max_reject_share=0.9)
    with caplog.at_level(logging.DEBUG):
        result = ingest.run(config, deps)
    assert (result.rows, result.rejected) == (1, 1)
    written = [path.read_bytes() for path in (table.local / "store").rglob("*") if path.is_file()]
    assert not any(PASSWORD.encode() in content for content in written)
    assert PASSWORD not in caplog.text
    assert PASSWORD not in repr(deps.runtime)


def test_rows_go_on_being_one_chain(table: Table) -> None:
    table.insert({"_id": 1, "n": 1})
    config = IngestConfig(name="t", source=table.document(cursor="_id"), mode="incremental")
    deps = [Deps.from_runtime(table.runtime().model_copy(update={"run_id": f"run-{i}"})) for i in range(3)]
    assert ingest.run(config, deps[0]).rows == 1
    table.insert({"_id": 2, "n": 2})
    second = ingest.run(config, deps[1])
    assert second.rows == 2
    assert ingest.run(config, deps[2]).uri == second.uri
    with pytest.raises(ValueError, match="use full"):
        IngestConfig(name="t", source=table.document(), mode="snapshot")


def test_odd_values_do_not_end_the_reads(table: Table) -> None:
    """A word among numbers is kept aside, a fraction accepted by the rule, and what follows is read."""
    config = IngestConfig(
        name="t",
        source=table.document(cursor="_id"),
        mode="incremental",
        on_widened_type="accept",
        max_reject_share=0.5,
    )
    found, first = [], 0
    for values in ([1, 2], [3, "abc"], [1.5], [7]):
        table.insert(*({"_id": first + index, "n": value} for index, value in enumerate(values)))
        first += len(values)
        deps = Deps.from_runtime(table.runtime().model_copy(update={"run_id": f"run-{first}"}))
        result = ingest.run(config, deps)
        found.append((result.rows, result.rejected))
    assert found == [(2, 0), (3, 1), (4, 0), (5, 0)]
    assert open_dataset(result.uri, deps).read()["n"].to_list() == [1.0, 2.0, 3.0, 1.5, 7.0]


def test_a_position_is_small_json(filled: Callable[[int], Table]) -> None:
    position = filled(200).source(cursor="_id").position()
    assert len(json.dumps(position)) < 5_000


def test_four_times_as_much_takes_no_more_memory(table: Table) -> None:
    for first in range(0, 1_600, 200):
        table.insert(*({"_id": first + i, "s": "x" * 50_000} for i in range(200)))
    document = table.document(batch_documents=20)
    grown, read = growth_bytes(
        Deps.from_runtime(table.runtime()),
        {**document, "filter": {"_id": {"$lt": 400}}},
        document,
        sizes={"aimass.core.sources.mongodb.whole:WHOLE_BYTES": 1 << 20},
    )
    assert read > 80_000_000
    assert grown < 40 << 20

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import polars as pl
import pyarrow as pa
import pytest
from pydantic import ValidationError

from aimass.core import datasets
from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps, utc_now
from aimass.core.errors import ConfigError, DataError, EmptyDataError, SchemaMismatchError, UnreachableError
from aimass.core.gc import collect_garbage, find_garbage
from aimass.core.manifest import load_manifest
from aimass.core.progress import ProgressEvent
from aimass.core.sources import SOURCES
from aimass.core.stages import STAGES, ingest_earlier
from aimass.core.stages.ingest import STAGE, IngestConfig, IngestResult
from aimass.core.stages.ingest_chain import chain_of
from aimass.core.testing.failpoints import FailAt
from aimass.core.testing.sources import MemorySource, MemoryTable


@pytest.fixture(autouse=True)
def _memory_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES._addresses, "memory", "aimass.core.testing.sources:MemorySource")


def of_run(deps: Deps, run: str, **others: Any) -> Deps:
    return replace(deps, runtime=deps.runtime.model_copy(update={"run_id": run}), **others)


class Reads:
    """A table in memory, and incremental reads of it."""

    def __init__(self, deps: Deps) -> None:
        self.name = uuid4().hex
        self.table = MemoryTable.named(self.name)
        self.deps = deps
        self.runs = 0

    def config(self, **more: Any) -> IngestConfig:
        source = {"type": "memory", "table": self.name, "rows_per_batch": 3, **more.pop("source", {})}
        return STAGE.parse({"name": "t", "source": source, "mode": "incremental", **more})

    def run(self, run: str | None = None, *, failpoints: Any = None, **more: Any) -> IngestResult:
        self.runs += 1
        others = {"failpoints": failpoints} if failpoints else {}
        return STAGE.run(self.config(**more), of_run(self.deps, run or f"run-{self.runs}", **others))

    def numbers(self, result: IngestResult) -> list[int]:
        return open_dataset(result.uri, self.deps).read()["number"].to_list()


@pytest.fixture
def reads(deps: Deps) -> Reads:
    found = Reads(deps)
    found.table.commit(1, 2, 3, 4)
    return found


def test_each_read_adds_what_is_new_and_refers_to_the_rest(reads: Reads, deps: Deps) -> None:
    first = reads.run()
    reads.table.commit(9, 5)
    second = reads.run()
    assert [(r.link, r.rows, r.earlier_rows, r.reused) for r in (first, second)] == [(0, 4, 0, False), (1, 6, 4, False)]
    assert reads.numbers(second) == [1, 2, 3, 4, 9, 5]
    manifest = load_manifest(deps.store, second.uri)
    assert [(ref.field, ref.uri, ref.digest) for ref in manifest.inputs] == [("previous", first.uri, first.digest)]
    assert [part.folder for part in manifest.parts] == [f"../{first.uri.rpartition('/')[2]}", ""]
    assert manifest.position == {"begin": 4, "end": 6}


def test_nothing_new_is_the_last_read(reads: Reads, deps: Deps) -> None:
    first = reads.run()
    again = reads.run()
    assert again == first.model_copy(update={"reused": True})
    assert deps.store.list(first.uri.rpartition("/")[0]) == [first.uri.rpartition("/")[2]]


def test_only_new_rows_where_they_are_wanted(reads: Reads) -> None:
    reads.run(keep="new")
    reads.table.commit(5)
    second = reads.run(keep="new")
    reads.table.commit(6, 7)
    assert (reads.numbers(second), reads.numbers(reads.run(keep="new"))) == ([5], [6, 7])


def test_a_retry_returns_what_its_run_read(reads: Reads) -> None:
    first = reads.run("a")
    reads.table.commit(5)
    assert reads.run("a") == first.model_copy(update={"reused": True})
    second = reads.run("b")
    reads.table.commit(6)
    assert (reads.run("b").digest, reads.run("a").digest) == (second.digest, first.digest)


POINTS = ["position_pinned", "batch_read", "part_staged", "before_manifest", "after_manifest"]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("retry", ["a", "b"])
def test_a_killed_read_goes_on_in_its_run_or_in_the_next(reads: Reads, point: str, retry: str) -> None:
    reads.run()
    reads.table.commit(5, 6, 7, 8)
    with pytest.raises(KeyboardInterrupt):
        reads.run("a", failpoints=FailAt(point))
    reads.table.commit(9)
    result = reads.run(retry)
    # Its own run reads what it began, another run also what has come since.
    assert reads.numbers(result) == list(range(1, 9 if retry == "a" else 10))
    assert reads.numbers(reads.run("c")) == list(range(1, 10))


@pytest.mark.parametrize("point", POINTS[:-1])
def test_only_new_rows_that_a_dead_run_began_go_to_the_next_one(reads: Reads, point: str) -> None:
    reads.run(keep="new")
    reads.table.commit(5, 6)
    with pytest.raises(KeyboardInterrupt):
        reads.run("a", failpoints=FailAt(point), keep="new")
    reads.table.commit(7)
    assert [reads.numbers(reads.run(keep="new")) for _ in range(2)] == [[5, 6], [7]]


def test_two_runs_at_once_publish_one_link(reads: Reads) -> None:
    class RunBeside:
        """Another run reads everything in the middle of this one."""

        other: IngestResult | None = None

        def hit(self, name: str) -> None:
            if name == "before_manifest" and self.other is None:
                reads.table.commit(5)
                self.other = reads.run("other")

    beside = RunBeside()
    own = reads.run("own", failpoints=beside)
    assert beside.other is not None
    assert (reads.numbers(own), reads.numbers(beside.other)) == ([1, 2, 3, 4], [1, 2, 3, 4, 5])
    assert reads.run().digest == beside.other.digest


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "ROWS_PER_CHECKPOINT", 3)


@pytest.mark.usefixtures("small_parts")
def test_what_was_read_of_another_position_is_not_gone_on_with(reads: Reads, deps: Deps) -> None:
    reads.table.commit(*range(5, 20))
    with pytest.raises(KeyboardInterrupt):
        reads.run(failpoints=FailAt("part_done", 3))
    chain = chain_of(reads.config(), deps)
    chain.unpin(0)
    reads.table.numbers.insert(0, 0)
    result = reads.run()
    assert reads.numbers(result) == list(range(20))


def test_the_head_is_found_without_its_note(reads: Reads, deps: Deps) -> None:
    reads.run()
    reads.table.commit(5)
    last = reads.run()
    chain = chain_of(reads.config(), deps)
    for note in (b"{}", b"not JSON", b'{"head": 99}', b'{"head": 0}', b'{"head": null}'):
        deps.store.publish(deps.store.folder("p", "chains", f"{chain.key[:16]}.json"), note)
        assert chain.head() == 1
    deps.store.delete(deps.store.folder("p", "chains"))
    assert reads.run().digest == last.digest


@pytest.mark.parametrize("keep", ["all", "new"])
def test_garbage_collection_keeps_where_reads_stand_and_what_they_refer_to(reads: Reads, deps: Deps, keep: str) -> None:
    uris = []
    for number in range(5, 8):
        reads.table.commit(number)
        uris.append(reads.run(keep=keep).uri)
    years_later = utc_now() + timedelta(days=999)
    garbage = find_garbage(deps.store, now=years_later)
    unreferenced = {item.uri for item in garbage if item.kind == "unreferenced"}
    assert unreferenced == (set(uris[:2]) if keep == "new" else set())
    assert [item.uri for item in garbage if item.kind == "orphan"] == []
    assert not [error for _, error in collect_garbage(deps.store, garbage) if error]
    deps.store.delete(deps.store.folder("p", "chains"))
    reads.table.commit(8)
    assert reads.numbers(reads.run(keep=keep)) == ([8] if keep == "new" else [1, 2, 3, 4, 5, 6, 7, 8])


def test_an_added_column_is_an_error_until_it_is_accepted(reads: Reads, deps: Deps) -> None:
    reads.run()
    reads.table.commit(5)
    reads.table.columns["note"] = pa.large_string()
    with pytest.raises(SchemaMismatchError, match=r"have changed: added note.*`on_added_column: accept`"):
        reads.run()
    second = reads.run(on_added_column="accept")
    frame = open_dataset(second.uri, deps).read()
    assert frame.columns == ["number", "text", "note"]
    assert reads.numbers(second) == [1, 2, 3, 4, 5]
    assert frame["note"].to_list() == [None] * 5
    reads.table.commit(6)
    assert open_dataset(reads.run().uri, deps).read().height == 6


def test_a_lost_column_becomes_null(reads: Reads, deps: Deps) -> None:
    reads.table.columns["note"] = pa.int16()
    reads.run()
    del reads.table.columns["note"]
    reads.table.commit(5)
    with pytest.raises(SchemaMismatchError, match="lost note"):
        reads.run()
    found = open_dataset(reads.run(on_lost_column="accept").uri, deps)
    assert found.read(columns=["note", "number"]).height == 5
    assert found.manifest.column("note").type == "int16"  # type: ignore[union-attr]


def test_a_widened_type_is_read_as_the_wider_one(reads: Reads, deps: Deps) -> None:
    reads.table.columns["number"] = pa.int16()
    reads.run()
    reads.table.columns["number"] = pa.int64()
    reads.table.commit(1 << 40)
    with pytest.raises(SchemaMismatchError, match="widened number: int16 → int64"):
        reads.run()
    second = reads.run(on_widened_type="accept")
    dataset = open_dataset(second.uri, deps)
    assert dataset.read()["number"].dtype == pl.Int64
    assert pl.concat([piece.collect() for piece in dataset.slices()])["number"].to_list() == [1, 2, 3, 4, 1 << 40]
    reads.table.columns["number"] = pa.int32()
    reads.table.commit(6)
    assert reads.numbers(reads.run()) == [1, 2, 3, 4, 1 << 40, 6]
    reads.table.columns["number"] = pa.large_string()
    reads.table.commit(7)
    with pytest.raises(SchemaMismatchError, match="'number' has become large_string"):
        reads.run(on_widened_type="accept")


@pytest.mark.usefixtures("small_parts")
def test_many_small_parts_become_one(reads: Reads, deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_earlier, "MANY_PARTS", 4)
    monkeypatch.setattr(ingest_earlier, "SMALL_ROWS", 10)
    reads.table.columns["late"] = pa.int16()
    numbers = [1, 2, 3, 4]
    counts = []
    for number in range(5, 40):
        if number == 20:
            reads.table.columns["late"] = pa.int64()
        if number == 30:
            with pytest.raises(KeyboardInterrupt):
                reads.run(failpoints=FailAt("part_staged"))
        result = reads.run(on_widened_type="accept")
        assert reads.numbers(result) == numbers
        assert (result.rows, result.earlier_rows) == (len(numbers), len(numbers) - 1 if result.link else 0)
        counts.append(len(load_manifest(deps.store, result.uri).parts))
        reads.table.commit(number)
        numbers.append(number)
    assert max(counts) <= 9
    garbage = find_garbage(deps.store, now=utc_now() + timedelta(days=999))
    assert sum(item.kind == "unreferenced" for item in garbage) > 20
    list(collect_garbage(deps.store, garbage))
    assert reads.numbers(reads.run()) == numbers


def test_an_empty_source_is_looked_at_again(reads: Reads) -> None:
    reads.table.numbers.clear()
    for _ in range(2):
        with pytest.raises(EmptyDataError):
            reads.run()
    reads.table.commit(1)
    assert reads.numbers(reads.run()) == [1]


def test_nothing_follows_a_read_with_too_many_rejects_until_they_are_allowed(reads: Reads) -> None:
    reads.run(source={"reject_every": 10})
    reads.table.commit(20, 30, 41)
    for _ in range(2):
        with pytest.raises(DataError, match="2 of 3 rows do not fit"):
            reads.run(source={"reject_every": 10})
        reads.table.commit(5)
    result = reads.run(source={"reject_every": 10}, max_reject_share=0.7)
    assert (result.link, result.rejected, reads.numbers(result)) == (2, 0, [1, 2, 3, 4, 41, 5, 5])


def test_a_failing_source_is_tried_again(reads: Reads) -> None:
    failing = {"failure_probability": 1.0}
    with pytest.raises(UnreachableError):
        reads.run(source=failing)


def test_snapshots_need_a_source_that_gives_them(reads: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    result = STAGE.run(reads.config(mode="snapshot"), reads.deps)
    assert (result.rows, result.link) == (4, None)
    monkeypatch.setattr(MemorySource, "consistent", False)
    with pytest.raises(ConfigError, match="'memory' cannot give all rows of one moment"):
        reads.config(mode="snapshot")


def test_snapshots_need_settings_that_give_them() -> None:
    source = {"type": "mysql", "table": "flights"}
    with pytest.raises(ValidationError, match="set `consistency: snapshot`"):
        IngestConfig(name="flights", source=source, mode="snapshot")
    config = IngestConfig(name="flights", source={**source, "consistency": "snapshot"}, mode="snapshot")
    assert config.mode == "snapshot"


class Tasks:
    """A read that is planned, done in pieces, and gathered."""

    def __init__(self, reads: Reads, mode: str) -> None:
        self.reads = reads
        self.ingest = reads.config(mode=mode).model_dump(mode="json")

    def plan(self, run: str, count: int = 3) -> list[dict[str, Any]]:
        stage = STAGES.load("ingest_plan")
        configs: list[dict[str, Any]] = stage.run(
            stage.parse({"ingest": self.ingest, "count": count}), of_run(self.reads.deps, run)
        ).configs
        return configs

    def work(self, run: str, configs: list[dict[str, Any]]) -> list[str]:
        return [STAGE.run(STAGE.parse(config), of_run(self.reads.deps, run)).uri for config in configs]

    def gather(self, run: str, pieces: list[str]) -> IngestResult:
        stage = STAGES.load("ingest_gather")
        found: IngestResult = stage.run(
            stage.parse({"ingest": self.ingest, "pieces": pieces}), of_run(self.reads.deps, run)
        )
        return found


@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_pieces_are_read_apart_and_joined(reads: Reads, deps: Deps, mode: str) -> None:
    reads.table.commit(*range(5, 12))
    tasks = Tasks(reads, mode)
    configs = tasks.plan("a")
    assert [config["partition"]["begin"] for config in configs] == [0, 3, 7]
    assert tasks.plan("a", count=5) == configs
    first = tasks.gather("a", tasks.work("a", configs))
    assert tasks.plan("a") == []
    assert tasks.gather("a", []).reused
    assert reads.numbers(first) == list(range(1, 12))
    manifest = load_manifest(deps.store, first.uri)
    assert (manifest.stage, manifest.position, len(manifest.inputs)) == ("ingest", {"begin": 0, "end": 11}, 3)
    garbage = find_garbage(deps.store, now=utc_now() + timedelta(days=999))
    if mode == "incremental":
        assert {item.kind for item in garbage} == {"old run"}


def test_pieces_and_whole_reads_make_one_chain(reads: Reads, deps: Deps) -> None:
    tasks = Tasks(reads, "incremental")
    tasks.gather("a", tasks.work("a", tasks.plan("a")))
    reads.table.commit(5)
    assert reads.numbers(reads.run()) == [1, 2, 3, 4, 5]
    reads.table.commit(6, 7)
    result = tasks.gather("b", tasks.work("b", tasks.plan("b", count=2)))
    assert reads.numbers(result) == [1, 2, 3, 4, 5, 6, 7]
    assert tasks.plan("c") == []
    list(collect_garbage(deps.store, find_garbage(deps.store, now=utc_now() + timedelta(days=999))))
    assert reads.numbers(result) == [1, 2, 3, 4, 5, 6, 7]
    assert reads.run().digest == result.digest


def test_what_was_not_planned_is_not_joined(reads: Reads) -> None:
    tasks = Tasks(reads, "incremental")
    pieces = tasks.work("a", tasks.plan("a"))
    for wrong in (pieces[:2], pieces[::-1], [*pieces, pieces[0]], []):
        with pytest.raises(DataError, match="do not make up the planned 3"):
            tasks.gather("a", wrong)
    assert reads.numbers(tasks.gather("b", tasks.work("b", tasks.plan("b")))) == [1, 2, 3, 4]


def test_a_source_that_cannot_be_cut_is_read_by_one_task(reads: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(MemorySource, "partitions")
    with pytest.raises(ConfigError, match="cannot be cut into pieces"):
        Tasks(reads, "full").plan("a")


def test_reads_of_a_store_elsewhere(reads: Reads) -> None:
    runtime = reads.deps.runtime.model_copy(update={"store": f"memory://{uuid4().hex}"})
    reads.deps = Deps.from_runtime(runtime)
    reads.run()
    reads.table.commit(5)
    reads.table.columns["note"] = pa.large_string()
    assert reads.numbers(reads.run(on_added_column="accept")) == [1, 2, 3, 4, 5]


def test_progress_tells_pace_and_what_is_left(reads: Reads) -> None:
    class Told:
        def __init__(self) -> None:
            self.events: list[ProgressEvent] = []

        def report(self, event: ProgressEvent) -> None:
            self.events.append(event)

    told = Told()
    STAGE.run(reads.config(), replace(reads.deps, progress=told))
    assert [(event.done, event.total) for event in told.events] == [(3, 4), (4, 4)]
    assert re.fullmatch(r"[\d,]+ rows/s, [\d.]+ MB/s, \d+ s left", told.events[0].message)
    assert "left" not in told.events[1].message

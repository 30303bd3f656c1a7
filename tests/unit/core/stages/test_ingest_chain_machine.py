"""Incremental reads of a growing table, stopped at any point, retried by any run: rows are handed out once."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from aimass.core import datasets
from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps, Runtime
from aimass.core.sources import SOURCES
from aimass.core.stages.ingest import STAGE, IngestConfig, IngestResult
from aimass.core.stages.ingest_chain import chain_of
from aimass.core.testing.sources import MemoryTable

POINTS = ("position_pinned", "batch_read", "part_staged", "part_done", "before_manifest", "after_manifest")


class Stop(BaseException):
    """The process dies here."""


class At:
    """Do something at the nth passing of a point, once."""

    def __init__(self, point: str, nth: int, action: Any) -> None:
        self.point, self.left, self.action = point, nth, action

    def hit(self, name: str) -> None:
        if name == self.point:
            self.left -= 1
            if self.left == 0:
                self.action()


class Reads(RuleBasedStateMachine):
    """One table; chains that keep all rows and chains that keep the new ones."""

    runs = Bundle("runs")

    @initialize(rows=st.integers(1, 9))
    def begin(self, rows: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.deps = Deps.from_runtime(Runtime(store=self.folder.name, project="p"))
        self.name = uuid4().hex
        self.table = MemoryTable.named(self.name)
        self.count = 0
        self.returned: dict[tuple[str, str], IngestResult] = {}
        self.commit(rows)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def config(self, keep: str) -> IngestConfig:
        source = {"type": "memory", "table": self.name, "rows_per_batch": 2}
        return STAGE.parse({"name": "t", "source": source, "mode": "incremental", "keep": keep})

    def read(self, run: str, keep: str, failpoints: Any = None) -> IngestResult:
        more = {"failpoints": failpoints} if failpoints else {}
        deps = replace(self.deps, runtime=self.deps.runtime.model_copy(update={"run_id": run}), **more)
        result = STAGE.run(self.config(keep), deps)
        before = self.returned.setdefault((run, keep), result)
        assert (before.uri, before.digest) == (result.uri, result.digest), "a retry returned something else"
        return result

    @rule(rows=st.integers(1, 9))
    def commit(self, rows: int) -> None:
        self.table.commit(*range(self.count, self.count + rows))
        self.count += rows

    @rule(target=runs, keep=st.sampled_from(["all", "new"]))
    def read_anew(self, keep: str) -> Any:
        run = (uuid4().hex, keep)
        result = self.read(*run)
        if keep == "all":
            assert result.rows == self.count, "a new run does not see what was there when it began"
        return run

    @rule(target=runs, keep=st.sampled_from(["all", "new"]), point=st.sampled_from(POINTS), nth=st.integers(1, 3))
    def read_and_die(self, keep: str, point: str, nth: int) -> Any:
        run = (uuid4().hex, keep)
        self.die(run, point, nth)
        return run

    @rule(run=runs, point=st.sampled_from(POINTS), nth=st.integers(1, 2))
    def retry_and_die(self, run: tuple[str, str], point: str, nth: int) -> None:
        self.die(run, point, nth)

    @rule(run=runs)
    def retry(self, run: tuple[str, str]) -> None:
        self.read(*run)

    @rule(target=runs, keep=st.sampled_from(["all", "new"]), point=st.sampled_from(POINTS), rows=st.integers(0, 3))
    def read_two_at_once(self, keep: str, point: str, rows: int) -> Any:
        """In the middle of one read rows come, and another run reads from beginning to end."""
        one, other = (uuid4().hex, keep), (uuid4().hex, keep)

        def beside() -> None:
            if rows:
                self.commit(rows)
            self.read(*other)

        self.read(*one, At(point, 1, beside))
        return multiple(one, other)

    @rule(keep=st.sampled_from(["all", "new"]))
    def lose_the_note(self, keep: str) -> None:
        self.deps.store.delete(self.deps.store.folder("p", "chains"))

    def die(self, run: tuple[str, str], point: str, nth: int) -> None:
        def stop() -> None:
            raise Stop

        with contextlib.suppress(Stop):
            self.read(*run, At(point, nth, stop))

    @invariant()
    def links_hold_each_row_once(self) -> None:
        if not hasattr(self, "folder"):
            return
        for keep in ("all", "new"):
            chain = chain_of(self.config(keep), self.deps)
            found: list[int] = []
            for number in range(chain.head() + 1):
                rows = open_dataset(chain.folder(number), self.deps).read()["number"].to_list()
                found = rows if keep == "all" else found + rows
            assert found == list(range(len(found))), f"{keep}: {found}"


class TestReads(Reads.TestCase):  # type: ignore[name-defined,misc] - made by hypothesis
    settings = settings(max_examples=25, stateful_step_count=12, deadline=None)

    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(SOURCES._addresses, "memory", "aimass.core.testing.sources:MemorySource")
        monkeypatch.setattr(datasets, "ROWS_PER_CHECKPOINT", 3)

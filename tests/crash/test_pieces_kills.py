"""Rows that keep coming, read in pieces by several tasks, each of which is killed: each row is read once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps, Runtime
from tests.crash.forked import Forks
from tests.crash.ingest_kills import (
    READS_AT_THE_END,
    ROWS_PER_CHECKPOINT,
    Histogram,
    LiveSource,
    check_rows,
    writing,
)
from tests.crash.ingest_tasks import ingest_task
from tests.crash.test_files_kills import LiveFiles
from tests.crash.test_mongodb_kills import LiveCollection
from tests.services.mongodb import mongodb_server

pytestmark = [pytest.mark.crash, pytest.mark.slow]
POINTS = {
    "ingest_plan": ("position_pinned",),
    "ingest": ("batch_read", "part_staged", "part_done", "before_manifest", "after_manifest"),
    "ingest_gather": ("before_manifest", "after_manifest"),
}
PIECES = 3
WRITES_PER_RUN = 4
MOST_SECONDS = 0.3
MOMENT = "any moment"


class Run:
    """The tasks of one DAG run: plan, the pieces, gather.

    Parameters
    ----------
    reads : Reads
        What is read, and how.
    name : str
        The run's id.
    draw : random.Random, optional
        Draws where its tasks are killed; without it they all live.
    """

    def __init__(self, reads: Reads, name: str, draw: random.Random | None = None) -> None:
        self.reads = reads
        self.name = name
        self.draw = draw

    def all(self) -> dict[str, Any] | None:
        """Return what the last task published; None where the run was given up after a kill."""
        source = self.reads.config
        plan = self.task("ingest_plan", {"ingest": source, "count": PIECES})
        pieces = []
        for config in plan["configs"] if plan else ():
            piece = self.task("ingest", config)
            if piece is None:
                return None
            pieces.append(piece["uri"])
        return self.task("ingest_gather", {"ingest": source, "pieces": pieces}) if plan else None

    def task(self, stage: str, config: dict[str, Any]) -> dict[str, Any] | None:
        """Return the task's result after as many retries as it takes; None where nobody retries it."""
        request = {"stage": stage, "config": config, **self.reads.request(self.name)}
        while True:
            found: dict[str, Any] | None = self._attempt(stage, request)
            if found is not None:
                assert "error" not in found, found
                return found
            # Somebody marks the run as failed, and the next one finishes its work.
            if self.draw is not None and self.draw.random() < 0.3:
                return None

    def _attempt(self, stage: str, request: dict[str, Any]) -> Any:
        if self.draw is None or self.draw.random() < 0.3:
            return self.reads.forks.run(ingest_task, request)
        if not self.reads.moments_left or self.draw.random() < 2 / 3:
            point = self.draw.choice(POINTS[stage])
            marker = self.reads.folder / "killed"
            marker.unlink(missing_ok=True)
            found = self.reads.forks.run(
                ingest_task, {**request, "kill": {"name": point, "nth": 1, "marker": str(marker)}}
            )
        else:
            point = MOMENT
            found = self.reads.forks.run(ingest_task, request, kill_after_s=self.draw.uniform(0, MOST_SECONDS))
        if found is None:
            self.reads.killed[f"{stage}: {point}"] += 1
            self.reads.moments_left -= point == MOMENT
        return found


class Reads:
    """Runs that read the same source in pieces, one after the other, now and then two at once.

    Parameters
    ----------
    live : LiveSource
        What is read.
    folder : Path
        Where datasets are written.
    moments_left : int
        How many tasks may be killed at any moment; all others are at fail points.
    """

    def __init__(self, live: LiveSource, folder: Path, moments_left: int) -> None:
        folder.mkdir()
        self.live = live
        self.config = {"name": "live", **live.config, "mode": "incremental"}
        self.folder = folder
        self.forks = Forks(folder)
        self.killed = Histogram()
        self.moments_left = moments_left

    def request(self, run: str) -> dict[str, Any]:
        """Return what all tasks of a run are told."""
        return {"runtime": self.runtime(run), "rows_per_checkpoint": ROWS_PER_CHECKPOINT}

    def runtime(self, run: str) -> dict[str, Any]:
        """Return the surroundings of a run."""
        store = str(self.folder / "store")
        return {"store": store, "project": "crash", "run_id": run, "connections": self.live.connections}

    def one(self, number: int, draw: random.Random) -> None:
        """Let a run be killed here and there, every third time beside another one that is not."""
        other = threading.Thread(target=Run(self, f"beside-{number}").all)
        if number % 3 == 0:
            other.start()
        Run(self, f"run-{number}", draw).all()
        if other.ident is not None:
            other.join()

    def to_the_end(self) -> str:
        """Read until nothing is new, and return the address of the last dataset."""
        for number in range(READS_AT_THE_END):
            found = Run(self, f"end-{number}").all()
            if found is not None and found["reused"]:
                return str(found["uri"])
        raise AssertionError("something is always new")


@contextmanager
def files(folder: Path, _: int) -> Iterator[LiveSource]:
    """Yield a folder of files."""
    yield LiveFiles(folder / "files")


@contextmanager
def documents(folder: Path, seed: int) -> Iterator[LiveSource]:
    """Yield a collection of a server that stays up."""
    with mongodb_server(folder) as server, closing(LiveCollection(server, seed)) as live:
        live.connections = {"aimass_mongodb": server.connection()}
        yield live


@pytest.mark.timeout(0)
@pytest.mark.parametrize("source", [files, pytest.param(documents, marks=pytest.mark.integration("mongodb"))])
def test_rows_that_several_tasks_read_are_read_once(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    source: Callable[[Path, int], AbstractContextManager[LiveSource]],
) -> None:
    # A run is several tasks, so half as many kills take as long as those of other tests.
    points, seed = max(1, request.config.getoption("read_points") // 2), request.config.getoption("--crash-seed")
    with source(tmp_path, seed) as live:
        reads = Reads(live, tmp_path / "reads", points // 2)
        runs = read_until_killed(reads, points, random.Random(seed))
        uri = reads.to_the_end()
        # One task goes on with the chain that several have read.
        alone = reads.forks.run(ingest_task, {"config": reads.config, **reads.request("alone")})
        assert (alone["reused"], alone["uri"]) == (True, uri)
        found = open_dataset(uri, Deps.from_runtime(Runtime.model_validate(reads.runtime("look")))).read()
        check_rows(live.truth(), found, key=live.key)
    with capsys.disabled():
        print(f"\n{reads.killed.total()} kills in {runs} runs, seed {seed}; {found.height:,} rows, all once")
        print(reads.killed.text())


def read_until_killed(reads: Reads, points: int, draw: random.Random) -> int:
    """Let runs read what comes until so many tasks were killed; return how many runs that took."""
    runs = 0
    with writing(reads.live) as allowed:
        while reads.killed.total() < points:
            allowed.release(WRITES_PER_RUN)
            reads.one(runs, draw)
            runs += 1
    return runs

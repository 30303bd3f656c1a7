"""kill -9 of incremental reads while rows keep coming: at the end, every row that was committed is there once."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps, Runtime
from tests.crash.forked import Forks
from tests.crash.ingest_tasks import ingest_task

POINTS = ("position_pinned", "batch_read", "part_staged", "part_done", "before_manifest", "after_manifest")
PAUSE_S = 0.05
WRITES_PER_READ = 10
ROWS_PER_CHECKPOINT = 20
READS_AT_THE_END = 20


class LiveSource(Protocol):
    """A source into which rows are written while it is read.

    Attributes
    ----------
    config : dict
        The configuration of the stage ``ingest``; its mode is incremental where it names none.
    connections : dict
        What reaches the server, by connection id; for `Runtime.connections`.
    key : str
        The column that tells rows apart.
    """

    config: dict[str, Any]
    key: str

    @property
    def connections(self) -> dict[str, Any]: ...

    def write(self) -> None:
        """Commit a few more rows; where the source can, sometimes one whose key is lower than those before it.

        Called again and again from a thread of its own; raises nothing while the server is down on purpose.
        """

    def truth(self) -> pl.DataFrame:
        """Return all rows that were committed, read without the engine; the engine's other columns do not matter."""


class Histogram(Counter[str]):
    """How often reads were killed where."""

    def text(self) -> str:
        """Return one line per place."""
        return "\n".join(f"  {place:<44} {'#' * times} {times}" for place, times in sorted(self.items()))


def prove_exactly_once(
    live: LiveSource,
    *,
    points: int,
    seed: int,
    folder: Path,
    disturb: Callable[[int], None] | None = None,
) -> Histogram:
    """Kill incremental reads `points` times, then read to the end: the chain's rows are the committed ones.

    A killed read is tried again by its own run or by another; now and then another run reads at the same time.

    Parameters
    ----------
    live : LiveSource
        What is read, and written meanwhile.
    points : int
        How many reads are killed: about two of three, and never less than half, at a fail point, the rest at any
        moment.
    seed : int
        Seed of the kills.
    folder : Path
        An empty folder for the store.
    disturb : callable, optional
        ``disturb(number)`` is called once for each kill, in a thread of its own, while a read before it runs: restart
        a broker, kill a DataNode, every twentieth time.

    Raises
    ------
    AssertionError
        A row is lost, doubled or another one than was written.
    """
    kills = _Kills(live, folder, random.Random(seed), moments_left=points // 2)
    with writing(live) as allowed:
        disturbed = -1
        while (number := kills.done.total()) < points:
            allowed.release(WRITES_PER_READ)
            with _beside(disturb if number != disturbed else None, number):
                kills.go_on()
            disturbed = number
    check_rows(live.truth(), kills.read_to_the_end(), key=live.key)
    return kills.done


def prove_full_reads(
    live: LiveSource,
    *,
    points: int,
    seed: int,
    folder: Path,
    disturb: Callable[[int], None] | None = None,
) -> Histogram:
    """Kill full reads `points` times, each tried again by its own run until it is published; see `prove_exactly_once`.

    What was committed before a read began is in it once; what is committed meanwhile may be, once.
    """
    kills = _Kills(live, folder, random.Random(seed), moments_left=points // 2)
    with writing(live) as allowed:
        while (number := kills.done.total()) < points:
            before = live.truth()
            allowed.release(WRITES_PER_READ)
            with _beside(disturb, number):
                found = kills.read_until_published()
            after = live.truth()
            assert not before.join(found, on=live.key, how="anti").height, "rows that were there before are lost"
            check_rows(after.join(found, on=live.key, how="semi"), found, key=live.key)
    return kills.done


def check_rows(truth: pl.DataFrame, found: pl.DataFrame, *, key: str) -> None:
    """Compare the rows that were read with those that were committed."""
    rows = found.select(pl.col(name).cast(dtype) for name, dtype in truth.schema.items())
    lost = truth.join(rows, on=key, how="anti", nulls_equal=True)
    strange = rows.join(truth, on=key, how="anti", nulls_equal=True)
    doubled = rows.filter(pl.col(key).is_duplicated())
    assert not lost.height, f"{lost.height} of {truth.height} rows are lost: {lost.head(3).to_dicts()}"
    assert not doubled.height, f"{doubled.height} rows are doubled: {doubled.head(3).to_dicts()}"
    assert not strange.height, f"{strange.height} rows were never committed: {strange.head(3).to_dicts()}"
    assert rows.sort(key).equals(truth.sort(key)), "rows are not what was committed"


@dataclass
class _Kills:
    """Reads of one chain, most of them killed."""

    live: LiveSource
    folder: Path
    draw: random.Random
    moments_left: int
    done: Histogram = field(default_factory=Histogram)
    seconds: float = 0.5
    run: int = 0
    attempts: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.forks = Forks(self.folder)

    def attempt(self) -> Any:
        """Read once, to be killed at a point or a moment; often the kill comes too late, which is no harm.

        Return the result, None where the read was killed.
        """
        self.attempts += 1
        limit = 50 + 20 * (self.done.total() + 1)
        assert self.attempts < limit, f"{self.attempts} reads, and only {self.done.total()} were killed"
        other = threading.Thread(target=self._read, args=(self._request(f"beside-{self.attempts}"),))
        if self.attempts % 4 == 0:
            other.start()
        marker = self.folder / "killed"
        marker.unlink(missing_ok=True)
        request = self._request(f"run-{self.run}")
        if self.draw.random() < 2 / 3 or not self.moments_left:
            kill = {"name": self.draw.choice(POINTS), "nth": self.draw.choice((1, 1, 2)), "marker": str(marker)}
            result = self._read({**request, "kill": kill})
            place = str(kill["name"])
        else:
            result = self._read(request, kill_after_s=self.draw.uniform(0, self.seconds))
            place = "any moment"
            self.moments_left -= result is None
        if result is None:
            self.done[place] += 1
        if other.ident is not None:
            other.join()
        return result

    def go_on(self) -> None:
        """Read once; a read that was killed is tried again by its own run or given up for another."""
        if "error" not in (self.attempt() or {"error": ""}) or self.draw.random() < 0.5:
            self.run += 1

    def read_until_published(self) -> pl.DataFrame:
        """Read by another run, again and again until it is done; return its rows."""
        self.run += 1
        while "error" in (result := self.attempt() or {"error": ""}):
            continue
        return self._rows(result)

    def read_to_the_end(self) -> pl.DataFrame:
        """Read until nothing is new, and return the rows of the whole chain."""
        for _ in range(READS_AT_THE_END):
            self.run += 1
            result = self._read(self._request(f"run-{self.run}"))
            if result is not None and result.get("reused"):
                return self._rows(result)
        raise AssertionError(f"Something is always new; the last read said {result}")

    def _rows(self, result: dict[str, Any]) -> pl.DataFrame:
        return open_dataset(result["uri"], Deps.from_runtime(Runtime.model_validate(self._runtime("end")))).read()

    def _read(self, request: dict[str, Any], *, kill_after_s: float | None = None) -> Any:
        began = time.monotonic()
        result = self.forks.run(ingest_task, request, kill_after_s=kill_after_s)
        if result is not None:
            self.seconds = time.monotonic() - began
        return result

    def _request(self, run: str) -> dict[str, Any]:
        return {
            "config": {"name": "live", "mode": "incremental", **self.live.config},
            "runtime": self._runtime(run),
            "rows_per_checkpoint": ROWS_PER_CHECKPOINT,
            "sources": getattr(self.live, "sources", {}),
            "constants": getattr(self.live, "constants", {}),
        }

    def _runtime(self, run: str) -> dict[str, Any]:
        store = str(self.folder / "store")
        return {"store": store, "project": "crash", "run_id": run, "connections": self.live.connections}


@contextmanager
def writing(live: LiveSource) -> Iterator[threading.Semaphore]:
    """Commit rows as often as the semaphore allows, lest a slow machine drown in them; an error there is one here."""
    allowed = threading.Semaphore(0)
    stop = threading.Event()
    errors: list[BaseException] = []

    def write() -> None:
        try:
            while not stop.wait(PAUSE_S):
                if allowed.acquire(blocking=False):
                    live.write()
        except BaseException as error:  # noqa: BLE001 - raised below, by the test's own thread
            errors.append(error)

    live.write()
    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield allowed
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]


@contextmanager
def _beside(disturb: Callable[[int], None] | None, number: int) -> Iterator[None]:
    """Let `disturb` do its work meanwhile."""
    if disturb is None:
        yield
        return
    thread = threading.Thread(target=disturb, args=(number,))
    thread.start()
    try:
        yield
    finally:
        thread.join()

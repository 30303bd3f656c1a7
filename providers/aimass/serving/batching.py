"""Batches of requests: none waits for company while the model is idle, and under load the model is run less often.

Requests that arrive alone are run at once, in the event loop. When two arrive in one turn of the loop, the model
counts as crowded, and from then on what arrives in one turn is run as one batch; single requests for a while end
that. Batches that take long are run in threads, as many at once as the worker has cores for, and what arrives
meanwhile becomes the next batch. A batch of n
gives each row the bits that a batch of one gives it (one thread inside a run; the tests hold that).
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import deque
from concurrent.futures import Executor
from typing import NamedTuple, Protocol

import numpy as np

from aimass.core.features.row_encoder import Block
from aimass.serving.config import ServeConfig
from aimass.serving.errors import QueueFullError, TimedOutError
from aimass.serving.loaded import Labels, LoadedModel, Probabilities
from aimass.serving.metrics import Tally
from aimass.serving.one_row import OneRow

INLINE_MS = 0.5
"""Runs expected to take less stay in the event loop: a thread's round trip costs about as much."""

SINGLES_UNTIL_ALONE = 16
"""Batches of one after which a model no longer counts as crowded."""

SHARED_FROM_ROWS = 257
"""Rows from which a request is shared among the worker's threads: less is not worth a thread's round trip."""

MOST_RUNS = 8
"""Runs that a worker does at once, whatever the number of cores."""

Scores = tuple[Probabilities, Labels]


def cores_of_worker(workers: int) -> int:
    """Return how many cores each of `workers` may use: how many runs it does at once."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(1, cores // workers), MOST_RUNS)


class Reply(Protocol):
    """What a request waits with; a future is one."""

    def done(self) -> bool:
        """Return whether nobody waits any more."""

    def set_result(self, scores: Scores, /) -> None:
        """Take probabilities and labels of the request's rows."""

    def set_exception(self, error: Exception, /) -> None:
        """Take what came instead."""


class _Waiting(NamedTuple):
    block: Block
    result: Reply
    is_alone: bool = False
    """Whether it is a batch of its own: two shares of one request in one batch would leave a thread idle."""


class Batcher:
    """Runs the requests of one version in one worker. Belongs to one event loop.

    Parameters
    ----------
    loaded : LoadedModel
        The version.
    config : ServeConfig
        Bounds.
    pool : Executor
        Threads for long runs.
    tally : Tally
        What the version did so far.

    Attributes
    ----------
    loaded, tally
        As given.
    queued_rows : int
        Rows that wait or are being run, but for those that were run at once.
    """

    def __init__(self, loaded: LoadedModel, config: ServeConfig, pool: Executor, tally: Tally) -> None:
        self.tally = tally
        self.queued_rows = 0
        self.loaded = loaded
        self._config = config
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._is_scheduled = False
        self._running = 0
        self._runs = cores_of_worker(config.workers)
        self._is_crowded = False
        self._ran_this_turn = False
        self._singles = 0

    def is_free(self, n_rows: int) -> bool:
        """Return whether so many rows may be run at once, in the event loop."""
        return not (self._is_crowded or self._is_scheduled or self._waiting) and self._is_cheap(n_rows)

    def run_at_once(self, block: Block) -> Scores | None:
        """Return probabilities and labels of the rows; None where the model is busy or slow: await `run` then."""
        if not self.is_free(block.n_rows):
            return None
        self._note_turn()
        return self._timed(block)

    def run_row(self, row: OneRow) -> Scores:
        """Do the same with one row in the model's own memory; the caller has asked whether the model `is_free`.

        `note_run` is the caller's, who does it once the answer is sent.
        """
        self._note_turn()
        return self.loaded.run_row(row)

    def note_run(self, n_rows: int, took_s: float) -> None:
        """Take in what a run took."""
        self.loaded.costs.note(n_rows, took_s * 1e3)
        self.tally.ran(n_rows)

    def _note_turn(self) -> None:
        if self._ran_this_turn:
            self._is_crowded, self._singles = True, 0
        else:
            self._ran_this_turn = True
            self._loop.call_soon(self._end_turn)

    def takes(self, n_rows: int) -> bool:
        """Return whether `submit` takes so many rows: they are run soon, and there is room for them."""
        return self._is_soon(n_rows) and self._has_room(n_rows)

    def submit(self, block: Block, reply: Reply) -> None:
        """Have the rows run with what else waits in the next turn of the loop; the caller keeps `queued_rows`."""
        self._waiting.append(_Waiting(block, reply))
        self._schedule()

    async def run(self, block: Block, timeout_s: float) -> Scores:
        """Return probabilities and labels of the rows, in their turn.

        Raises
        ------
        QueueFullError
            Too many rows wait.
        TimedOutError
            The answer was not ready in `timeout_s`.
        """
        n_rows = block.n_rows
        self._admit(n_rows)
        self.queued_rows += n_rows
        try:
            if self._is_soon(n_rows):
                return await self._submit(block)
            async with asyncio.timeout(timeout_s):
                return await self._in_parts(block)
        except TimeoutError:
            raise TimedOutError(
                f"{self.loaded.name} did not answer in {timeout_s:g} s",
                hint="Send fewer rows at once, or ask again when the server is less busy",
                retry_after_s=self._retry_after_s(),
            ) from None
        finally:
            self.queued_rows -= n_rows

    def _is_cheap(self, n_rows: int) -> bool:
        return n_rows <= self._config.max_batch_rows and self.loaded.costs.of(n_rows) < INLINE_MS

    def _is_soon(self, n_rows: int) -> bool:
        # In the next turn of the loop: no need to watch the time.
        return not self._running and not self._config.batch_wait_ms and self._is_cheap(n_rows)

    def _end_turn(self) -> None:
        self._ran_this_turn = False

    def _has_room(self, n_rows: int) -> bool:
        # A request that is larger than the whole queue is let in when it is alone: it could never be answered else.
        return not self.queued_rows or self.queued_rows + n_rows <= self._config.queue_rows

    def _admit(self, n_rows: int) -> None:
        if not self._has_room(n_rows):
            raise QueueFullError(
                f"{self.queued_rows} rows wait for {self.loaded.name} and {n_rows} more would be too many",
                expected=f"at most {self._config.queue_rows}",
                hint="Ask again after the time in Retry-After",
                retry_after_s=self._retry_after_s(),
            )

    def _retry_after_s(self) -> float:
        return max(1.0, math.ceil(self.queued_rows * self.loaded.costs.row_ms / 1e3))

    async def _in_parts(self, block: Block) -> Scores:
        """Submit a large request piece by piece, so that others come between."""
        n_rows = block.n_rows
        if n_rows < min(SHARED_FROM_ROWS, self._config.max_batch_rows + 1):
            return await self._submit(block)
        size = self._rows_of_share(n_rows)
        scores: list[Scores] = []
        pending: deque[asyncio.Future[Scores]] = deque()
        try:
            for start in range(0, n_rows, size):
                if len(pending) > self._runs:  # one waits, so that no thread does
                    scores.append(await pending.popleft())
                pending.append(self._submit(block.part(start, start + size), is_alone=True))
            while pending:
                scores.append(await pending.popleft())
        finally:
            for each in pending:
                if not each.cancel():
                    each.exception()  # the first one was raised
        return np.concatenate([part[0] for part in scores]), np.concatenate([part[1] for part in scores])

    def _rows_of_share(self, n_rows: int) -> int:
        """Return how many rows of a large request are run at once: equal shares, so that all threads end together."""
        rounds = math.ceil(n_rows / (self._config.max_batch_rows * self._runs))
        return math.ceil(n_rows / (rounds * self._runs))

    def _submit(self, block: Block, *, is_alone: bool = False) -> asyncio.Future[Scores]:
        result: asyncio.Future[Scores] = self._loop.create_future()
        self._waiting.append(_Waiting(block, result, is_alone))
        self._schedule(self._config.batch_wait_ms / 1e3 if self._is_crowded else 0.0)
        return result

    def _schedule(self, wait_s: float = 0.0) -> None:
        """Have the next batch run, where one waits and may."""
        if self._is_scheduled or not self._waiting or self._running >= self._runs:
            return
        self._is_scheduled = True
        if wait_s:
            self._loop.call_later(wait_s, self._next)
        else:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        """Run what waits, up to the size of one batch; goes on until nothing waits."""
        self._is_scheduled = False
        batch = self._take()
        if not batch:
            return
        self._count_singles(len(batch))
        block = Block.join([each.block for each in batch])
        if self._is_cheap(block.n_rows):
            self._give(batch, self._try(block))
        else:
            self._running += 1
            running = self._loop.run_in_executor(self._pool, self._try, block)
            running.add_done_callback(lambda done: self._finish(batch, done))
        self._schedule()

    def _finish(self, batch: list[_Waiting], done: asyncio.Future[Scores | Exception]) -> None:
        self._running -= 1
        self._give(batch, done.result())
        self._schedule()

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        rows = 0
        while self._waiting:
            each = self._waiting[0]
            if each.result.done():  # its time ran out
                self._waiting.popleft()
                continue
            rows += each.block.n_rows
            if batch and (rows > self._config.max_batch_rows or each.is_alone or batch[-1].is_alone):
                break
            batch.append(self._waiting.popleft())
        return batch

    def _count_singles(self, requests: int) -> None:
        if requests > 1:
            self._is_crowded, self._singles = True, 0
            return
        self._singles += 1
        if self._singles >= SINGLES_UNTIL_ALONE:
            self._is_crowded = False

    def _try(self, block: Block) -> Scores | Exception:
        try:
            return self._timed(block)
        except Exception as error:  # noqa: BLE001 - every request of the batch gets it
            return error

    def _timed(self, block: Block) -> Scores:
        start = time.perf_counter()
        scores = self.loaded.run(block)
        self.note_run(block.n_rows, time.perf_counter() - start)
        return scores

    @staticmethod
    def _give(batch: list[_Waiting], scores: Scores | Exception) -> None:
        start = 0
        for each in batch:
            stop = start + each.block.n_rows
            if not each.result.done():
                if isinstance(scores, Exception):
                    each.result.set_exception(scores)
                else:
                    each.result.set_result((scores[0][start:stop], scores[1][start:stop]))
            start = stop

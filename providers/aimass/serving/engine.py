"""What REST and gRPC share: from a request's words to the answer's numbers."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from aimass.core.features.row_encoder import Block
from aimass.serving.batching import Batcher, Scores, cores_of_worker
from aimass.serving.context import PredictionRecord, Resolved, WorkerContext
from aimass.serving.errors import MalformedError, NotLoadedError, ServingError, TimedOutError, UnavailableError
from aimass.serving.loaded import Labels, LoadedModel, Probabilities
from aimass.serving.metrics import FLUSH_S, Metrics
from aimass.serving.one_row import OneRow


class Ask(NamedTuple):
    """Whom a request asks, and how it is called."""

    model: str
    version: str | None = None
    alias: str | None = None
    route_key: str = ""
    """Keeps a caller at one side of a traffic split; empty: the request's own id."""
    request_id: str = ""
    protocol: str = "rest"
    token: str = ""
    """Name of the token, for the count of who uses what."""
    started: float = 0.0
    """`time.perf_counter()` when the request's first byte was seen."""


class Answer(NamedTuple):
    """What the model said."""

    resolved: Resolved
    probability: Probabilities
    """Shape (n_rows,): of class 1."""
    label: Labels
    """Shape (n_rows,): 0 or 1."""


class Engine:
    """Answers requests: resolve, encode, batch, run, note. Belongs to one event loop.

    Parameters
    ----------
    context : WorkerContext
        What the worker is given.
    """

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self.metrics = Metrics(context.metrics_dir)
        self._pool = ThreadPoolExecutor(cores_of_worker(context.config.workers), thread_name_prefix="aimass-run")
        self._batchers: weakref.WeakSet[Batcher] = weakref.WeakSet()
        self._uncounted: list[tuple[Ask, Batcher, float, float]] = []
        self._flushing: asyncio.TimerHandle | None = None

    async def answer(self, ask: Ask, block_of: Callable[[LoadedModel], Block]) -> Answer:
        """Return the answer to one request.

        Parameters
        ----------
        ask : Ask
            Whom it asks.
        block_of : callable
            Makes the rows in canonical form once the version is known; what it raises is the caller's mistake.

        Raises
        ------
        ServingError
            See `errors`: not found, not loaded, queue full, timed out, draining.
        DataError
            The rows do not fit the signature.
        """
        context = self.context
        if context.draining:
            raise UnavailableError("The server is about to stop", hint="Ask another one", retry_after_s=1.0)
        resolved = await self.resolve(ask)
        loaded = resolved.loaded
        block = block_of(loaded)
        n_rows = block.n_rows
        if not n_rows:
            raise MalformedError("The request holds no rows", expected="one row or more")
        batcher = loaded.batcher or self._batcher(loaded)
        scores = batcher.run_at_once(block)
        if scores is None:
            loaded.in_flight += n_rows
            try:
                scores = await batcher.run(block, context.config.request_timeout_s)
            finally:
                loaded.in_flight -= n_rows
        took_s = time.perf_counter() - ask.started
        self._log(ask, resolved, block, scores, took_s)
        self._count(ask, batcher, n_rows, took_s)
        return Answer(resolved, *scores)

    def answer_at_once(self, ask: Ask, body: bytes) -> Answer | None:
        """Return the answer to one row in JSON, where that takes no waiting; None elsewhere: await `answer` then.

        None too for whatever is a mistake, which `answer` says; nothing was done then.
        """
        found = self._ready(ask)
        if found is None or not found[1].is_free(1):
            return None
        resolved, batcher = found
        loaded = resolved.loaded
        row = loaded.take_row()
        try:
            if not loaded.reader.read(body, row):
                return None
            start = time.perf_counter()
            probability, label = batcher.run_row(row)
            end = time.perf_counter()
            took_s = end - ask.started
            self._log(ask, resolved, row.block, (probability, label), took_s)
        finally:
            loaded.give_back(row)
        self._uncounted.append((ask, batcher, end - start, took_s))
        return Answer(resolved, probability, label)

    def answer_in_turn(self, ask: Ask, body: bytes, done: Callable[[Answer | Exception], None]) -> bool:
        """Do the same beside others: `done` is called with the answer within a turn of the loop or two.

        Returns False where nothing was done, as `answer_at_once` returns None.
        """
        found = self._ready(ask)
        if found is None or not found[1].takes(1):
            return False
        resolved, batcher = found
        row = resolved.loaded.take_row()
        if not resolved.loaded.reader.read(body, row):
            resolved.loaded.give_back(row)
            return False
        batcher.submit(row.block, _Turn(self, ask, resolved, batcher, row, done))
        return True

    def count(self) -> None:
        """Count what was answered at once; whoever sends these answers calls this when they are on their way."""
        for ask, batcher, run_s, took_s in self._uncounted:
            batcher.note_run(1, run_s)
            self._count(ask, batcher, 1, took_s)
        self._uncounted.clear()

    def _ready(self, ask: Ask) -> tuple[Resolved, Batcher] | None:
        """Return the version that answers and its batcher; None where it has none yet, or an error is to be told."""
        if self.context.draining:
            return None
        try:
            resolved = self._resolve(ask)
        except ServingError:
            return None
        batcher = resolved.loaded.batcher
        return None if batcher is None else (resolved, batcher)

    def _log(self, ask: Ask, resolved: Resolved, block: Block, scores: Scores, took_s: float) -> None:
        at = time.time() - took_s
        self.context.journal.append(PredictionRecord(resolved, ask.request_id, at, took_s * 1e3, block, *scores))

    def _count(self, ask: Ask, batcher: Batcher, n_rows: int, took_s: float) -> None:
        batcher.tally.answered(ask.protocol, ask.token, n_rows, took_s)
        batcher.loaded.requests += 1
        batcher.loaded.last_request_at = time.time()

    async def resolve(self, ask: Ask) -> Resolved:
        """Return the version that answers, loaded where need be.

        Raises what `ModelTable.resolve` and `ModelTable.ensure` raise, and TimedOutError.
        """
        try:
            return self._resolve(ask)
        except NotLoadedError:
            return await self._ensure(ask)

    def _resolve(self, ask: Ask) -> Resolved:
        key = ask.route_key or ask.request_id
        return self.context.table.resolve(ask.model, version=ask.version, alias=ask.alias, route_key=key)

    async def _ensure(self, ask: Ask) -> Resolved:
        limit_s = self.context.config.request_timeout_s
        key = ask.route_key or ask.request_id
        try:
            async with asyncio.timeout(limit_s):
                return await self.context.table.ensure(ask.model, version=ask.version, alias=ask.alias, route_key=key)
        except TimeoutError:
            raise TimedOutError(
                f"{ask.model} was not in memory within {limit_s:g} s", hint="Ask again", retry_after_s=1.0
            ) from None

    def failed(self, model: str, code: str, protocol: str) -> None:
        """Count a request that got an error, under its model where that is served."""
        self.metrics.failed(model if model in self.context.table.names() else "", code, protocol)

    def queued_rows(self) -> dict[str, int]:
        """Return the rows that wait now, by model."""
        found: dict[str, int] = {}
        for batcher in self._batchers:
            name = batcher.tally.model
            found[name] = found.get(name, 0) + batcher.queued_rows
        return found

    def start(self) -> None:
        """Begin to hand counts to Prometheus every half second."""
        self.flush()
        self._flushing = asyncio.get_running_loop().call_later(FLUSH_S, self.start)

    def flush(self) -> None:
        """Hand over what was counted so far."""
        self.count()
        self.metrics.flush(self.queued_rows())

    def stop(self) -> None:
        """Hand over what is left, and end the threads once they have run what they were given."""
        if self._flushing is not None:
            self._flushing.cancel()
        self.flush()
        self._pool.shutdown()

    def _batcher(self, loaded: LoadedModel) -> Batcher:
        loaded.batcher = Batcher(loaded, self.context.config, self._pool, self.metrics.tally(loaded))
        self._batchers.add(loaded.batcher)  # a version that leaves memory takes its batcher with it
        return loaded.batcher


class _Turn:
    """A row that waits for its turn (see `batching.Reply`)."""

    __slots__ = ("_ask", "_batcher", "_done", "_engine", "_resolved", "_row")

    def __init__(
        self,
        engine: Engine,
        ask: Ask,
        resolved: Resolved,
        batcher: Batcher,
        row: OneRow,
        done: Callable[[Answer | Exception], None],
    ) -> None:
        self._engine = engine
        self._ask = ask
        self._resolved = resolved
        self._batcher = batcher
        self._row = row
        self._done = done
        batcher.queued_rows += 1
        resolved.loaded.in_flight += 1

    def done(self) -> bool:
        """Return False: it waits to the end."""
        return False

    def set_result(self, scores: Scores) -> None:
        """Answer."""
        took_s = time.perf_counter() - self._ask.started
        self._engine._log(self._ask, self._resolved, self._row.block, scores, took_s)
        self._end(Answer(self._resolved, *scores))
        self._engine._count(self._ask, self._batcher, 1, took_s)

    def set_exception(self, error: Exception) -> None:
        """Tell of it."""
        self._end(error)

    def _end(self, outcome: Answer | Exception) -> None:
        loaded = self._resolved.loaded
        loaded.give_back(self._row)
        self._batcher.queued_rows -= 1
        loaded.in_flight -= 1
        self._done(outcome)


_SERVER = secrets.token_hex(8)
_numbers = itertools.count()


def new_request_id() -> str:
    """Return an id that no other request of any server has."""
    return f"{_SERVER}-{next(_numbers):x}"

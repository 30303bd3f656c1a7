"""Threads that read at the same time and keep no process from ending: connectorx has no time-out of its own."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
Call = tuple[Callable[[], Result], "Future[Result]"]

IDLE_S = 10.0


class Threads:
    """Daemon threads, as many as there are calls at a time, each used again.

    A thread without work for some seconds ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[queue.SimpleQueue[Call[object]]] = []

    def start(self, call: Callable[[], Result]) -> Future[Result]:
        """Run `call` in one of the threads."""
        future: Future[Result] = Future()
        with self._lock:
            calls = self._idle.pop() if self._idle else None
        if calls is None:
            calls = queue.SimpleQueue()
            threading.Thread(target=self._run, args=(calls,), name="mysql-reader", daemon=True).start()
        calls.put((call, future))  # type: ignore[arg-type] # a future takes what its call returns
        return future

    def _run(self, calls: queue.SimpleQueue[Call[object]]) -> None:
        while True:
            try:
                self._finish(calls, *calls.get(timeout=IDLE_S))
            except queue.Empty:
                with self._lock:
                    # Somebody may have just taken it to give it a call.
                    if calls in self._idle:
                        self._idle.remove(calls)
                        return

    def _finish(
        self, calls: queue.SimpleQueue[Call[object]], call: Callable[[], object], future: Future[object]
    ) -> None:
        outcome: Future[object] = Future()
        _settle(outcome, call)
        # Before anybody is told: the next call shall find this thread.
        with self._lock:
            self._idle.append(calls)
        _settle(future, outcome.result)


def read_in_order(jobs: Iterable[Job], read: Callable[[Job], Result], *, readers: int) -> Iterator[Result]:
    """Yield what `read` returns for each job, in order: `readers` of them at work, one more begun before it is wanted.

    Closing the iterator waits for none of them.
    """
    begun: queue.SimpleQueue[tuple[Job, Future[Result]] | None] = queue.SimpleQueue()
    under_way: deque[Future[Result]] = deque()
    for _ in range(readers):
        threading.Thread(target=_work, args=(begun, read), name="mysql-reader", daemon=True).start()
    try:
        for job in jobs:
            under_way.append(Future())
            begun.put((job, under_way[-1]))
            if len(under_way) > readers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()
        for _ in range(readers):
            begun.put(None)


def _work(begun: queue.SimpleQueue[tuple[Job, Future[Result]] | None], read: Callable[[Job], Result]) -> None:
    while _read_next(begun, read):
        pass


def _read_next(begun: queue.SimpleQueue[tuple[Job, Future[Result]] | None], read: Callable[[Job], Result]) -> bool:
    """Read one job; nothing of it is held while the next one is waited for."""
    found = begun.get()
    if found is None:
        return False
    job, future = found
    if future.set_running_or_notify_cancel():
        _settle(future, lambda: read(job))
    return True


def _settle(future: Future[Result], call: Callable[[], Result]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - raised again by whoever takes the result
        future.set_exception(error)

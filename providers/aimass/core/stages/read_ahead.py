"""Read ahead: the source fills a short queue in a thread of its own, so that waiting for it and writing overlap."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

BATCHES = 2
STOP_TIMEOUT_S = 30.0
_END = object()


@contextlib.contextmanager
def reading_ahead(start: Callable[[], Iterator[T]], *, batches: int = BATCHES) -> Iterator[Iterator[T]]:
    """Give what ``start()`` yields; at the end of the block, whatever ended it, the iterator there is closed.

    Parameters
    ----------
    start : callable
        Returns the iterator; called, run and closed in the thread.
    batches : int
        How many items may wait.

    Notes
    -----
    An item that the source is just waiting for cannot be interrupted: the end of the block waits for it, 30 seconds
    at most. The thread never keeps a process from ending.
    """
    reader = _Reader(start, batches)
    try:
        yield reader.items()
    finally:
        reader.stop()


class _Reader(Generic[T]):
    def __init__(self, start: Callable[[], Iterator[T]], batches: int) -> None:
        self._start = start
        self._queue: queue.Queue[Any] = queue.Queue(batches)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
        self._thread.start()

    def items(self) -> Iterator[T]:
        """Yield the items; raise here what the source raised there."""
        while (item := self._queue.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item

    def stop(self) -> None:
        """Close the source's iterator and wait for the thread."""
        self._stopped.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        try:
            last: Any = _END
            self._copy(self._start())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever takes the items
            last = _Failure(error)
        if not self._stopped.is_set():
            self._queue.put(last)

    def _copy(self, items: Iterator[T]) -> None:
        try:
            for item in items:
                self._queue.put(item)
                if self._stopped.is_set():
                    return
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error

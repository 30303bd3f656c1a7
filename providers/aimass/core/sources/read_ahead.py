"""Read what is far away, a file's ranges or many small files, the next ones under way while the last one is used."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

RANGE_BYTES = 8 << 20
RANGES = 4

Fetch = Callable[[int, int], bytes]
"""Returns the bytes of a file from a first offset to before a second one; called from several threads."""


class ReadAhead(io.RawIOBase):
    """A seekable file whose bytes come by ranges.

    Where reading goes on from where it stopped, the next ranges are asked for ahead; after a jump, only what is wanted.

    Parameters
    ----------
    fetch : callable
        Brings one range.
    size : int
        The file's size in bytes.
    range_bytes, ranges : int
        How much is asked for at once, and how many of those are under way or ready: memory is their product.
    """

    def __init__(self, fetch: Fetch, size: int, *, range_bytes: int = RANGE_BYTES, ranges: int = RANGES) -> None:
        super().__init__()
        self._fetch = fetch
        self._size = size
        self._range_bytes = range_bytes
        self._ranges = ranges
        self._threads = ThreadPoolExecutor(ranges, thread_name_prefix="read-ahead")
        self._ahead: deque[Future[bytes]] = deque()
        self._asked = 0
        self._ready = memoryview(b"")
        self._at = 0
        self._is_sequential = True

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to another place."""
        target = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if target != self._at:
            step = target - self._at
            self._ready = self._ready[step:] if 0 < step <= len(self._ready) else self._forget()
            self._at = target
        return target

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes, fewer only at the file's end."""
        return b"".join(self._pieces(size))

    def read_buffer(self, size: int | None = -1, /) -> bytes | memoryview:
        """Return the next `size` bytes, uncopied where they came together: what Arrow calls where there is such."""
        pieces = self._pieces(size)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _pieces(self, size: int | None) -> list[memoryview]:
        """Return the next `size` bytes as they came."""
        wanted = self._size - self._at
        if size is not None and 0 <= size < wanted:
            wanted = size
        pieces = []
        while wanted > 0:
            if not self._ready:
                self._ready = memoryview(self._next(wanted))
            piece = self._ready[:wanted]
            pieces.append(piece)
            self._ready = self._ready[len(piece) :]
            self._at += len(piece)
            wanted -= len(piece)
        self._is_sequential = True
        return pieces

    def readall(self) -> bytes:
        """Return the rest."""
        return self.read()

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill `buffer` and return how much of it was filled."""
        data = self.read_buffer(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Let go of what is under way."""
        if not self.closed:
            self._forget()
            self._threads.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _next(self, wanted: int) -> bytes:
        if not self._is_sequential:
            stop = min(self._at + wanted, self._size)
            return _whole(self._fetch(self._at, stop), stop - self._at)
        if not self._ahead:
            self._asked = self._at
        while len(self._ahead) < self._ranges and self._asked < self._size:
            stop = min(self._asked + self._range_bytes, self._size)
            self._ahead.append(self._threads.submit(_fetch_whole, self._fetch, self._asked, stop))
            self._asked = stop
        return self._ahead.popleft().result()

    def _forget(self) -> memoryview:
        for future in self._ahead:
            future.cancel()
        self._ahead.clear()
        self._is_sequential = False
        return memoryview(b"")


def _fetch_whole(fetch: Fetch, start: int, stop: int) -> bytes:
    return _whole(fetch(start, stop), stop - start)


def _whole(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise ConnectionError(f"{len(data):,} bytes came where {size:,} were asked for")
    return data


def fetched_ahead(
    fetch: Callable[[T], R], items: Iterable[T], *, threads: int, ahead: int
) -> Generator[tuple[T, R], None, None]:
    """Yield each of `items` with what `fetch` returns for it, in their order.

    Parameters
    ----------
    fetch : callable
        Brings, or makes, what belongs to one item; called from several threads.
    items : iterable
        What is fetched for.
    threads : int
        How many are fetched at once.
    ahead : int
        How many are under way or ready while one is used.
    """
    waiting: deque[tuple[T, Future[R]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="fetch-ahead")
    try:
        for item in items:
            waiting.append((item, pool.submit(fetch, item)))
            if len(waiting) > ahead:
                first, content = waiting.popleft()
                yield first, content.result()
        for first, content in waiting:
            yield first, content.result()
    finally:
        # What is under way cannot be stopped, and whoever closes this need not wait for it.
        pool.shutdown(wait=False, cancel_futures=True)

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from aimass.core.stages.read_ahead import reading_ahead


class Numbers:
    """Counts up, and remembers how far it came and whether it was closed, and where."""

    def __init__(self, stop: int, *, error: Exception | None = None) -> None:
        self.stop, self.error = stop, error
        self.made = 0
        self.threads: set[str] = set()
        self.closed = threading.Event()

    def __call__(self) -> Iterator[int]:
        try:
            for number in range(self.stop):
                self.threads.add(threading.current_thread().name)
                self.made += 1
                yield number
            if self.error:
                raise self.error
        finally:
            self.threads.add(threading.current_thread().name)
            self.closed.set()


def test_everything_comes_in_order_from_another_thread() -> None:
    numbers = Numbers(100)
    with reading_ahead(numbers) as items:
        assert list(items) == list(range(100))
    assert numbers.threads == {"read-ahead"}


def test_no_more_is_read_than_fits() -> None:
    numbers = Numbers(1_000)
    with reading_ahead(numbers, batches=2) as items:
        for number in items:
            assert numbers.made <= number + 4
            if number == 50:
                break
    assert numbers.closed.is_set()
    assert numbers.made <= 55


@pytest.mark.parametrize("batches", [1, 2, 5])
def test_an_error_of_the_source_comes_after_what_it_gave(batches: int) -> None:
    numbers = Numbers(3, error=ConnectionResetError("cut"))
    seen: list[int] = []
    with pytest.raises(ConnectionResetError, match="cut"), reading_ahead(numbers, batches=batches) as items:
        seen.extend(items)
    assert seen == [0, 1, 2]
    assert numbers.closed.is_set()


@pytest.mark.parametrize("batches", [1, 2, 5])
@pytest.mark.parametrize("after", [0, 1, 7])
def test_an_error_of_the_reader_closes_the_source(batches: int, after: int) -> None:
    numbers = Numbers(1_000)

    def read() -> None:
        with reading_ahead(numbers, batches=batches) as items:
            for _ in range(after):
                next(items)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read()
    assert numbers.closed.wait(5)
    assert "read-ahead" not in {thread.name for thread in threading.enumerate()}


def test_a_source_that_does_not_begin_fails_where_it_is_read() -> None:
    def start() -> Iterator[int]:
        raise PermissionError("closed")

    with pytest.raises(PermissionError, match="closed"), reading_ahead(start) as items:
        next(items)

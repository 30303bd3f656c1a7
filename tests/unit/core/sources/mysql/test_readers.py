from __future__ import annotations

import threading

import pytest

from aimass.core.sources.mysql.readers import Threads, read_in_order


def test_results_come_in_the_order_of_the_jobs() -> None:
    second_is_done = threading.Event()

    def read(job: int) -> int:
        if job == 0:
            assert second_is_done.wait(10)
        if job == 1:
            second_is_done.set()
        return job * job

    assert list(read_in_order(range(50), read, readers=2)) == [job * job for job in range(50)]


def test_no_more_are_at_work_than_there_are_readers_and_none_is_begun_long_before_it_is_wanted() -> None:
    lock, at_work, most, begun = threading.Lock(), 0, 0, []

    def read(job: int) -> int:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
            begun.append(job)
        with lock:
            at_work -= 1
        return job

    results = read_in_order(range(30), read, readers=3)
    for wanted in range(10):
        assert next(results) == wanted
        assert max(begun) <= wanted + 3
    results.close()  # type: ignore[attr-defined]
    assert most <= 3


def test_an_error_is_raised_in_its_place_and_ends_the_rest() -> None:
    def read(job: int) -> int:
        if job == 2:
            raise ValueError(job)
        return job

    results = read_in_order(range(1_000_000), read, readers=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="2"):
        next(results)
    assert list(results) == []


def test_a_thread_is_used_again() -> None:
    threads = Threads()
    names = {threads.start(threading.get_ident).result(10) for _ in range(20)}
    assert len(names) == 1


def test_calls_at_the_same_time_have_a_thread_each_and_errors_are_told() -> None:
    threads = Threads()
    both = threading.Barrier(2)
    futures = [threads.start(lambda: both.wait(10)) for _ in range(2)]
    assert {future.result(10) for future in futures} == {0, 1}
    with pytest.raises(ZeroDivisionError):
        threads.start(lambda: 1 // 0).result(10)


def test_a_thread_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aimass.core.sources.mysql.readers.IDLE_S", 0.01)
    threads = Threads()
    worker = threads.start(threading.current_thread).result(10)
    worker.join(10)
    assert not worker.is_alive()
    assert threads.start(threading.current_thread).result(10) is not worker

from __future__ import annotations

import io
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core.sources.read_ahead import ReadAhead

DATA = bytes(range(256)) * 8


class Served:
    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    def __call__(self, start: int, stop: int) -> bytes:
        with self._lock:
            self.asked.append((start, stop))
        return self.data[start:stop]


READS = st.tuples(st.sampled_from(["read", "read_buffer"]), st.integers(-1, 700))
STEPS = st.lists(
    st.one_of(READS, st.tuples(st.just("seek"), st.integers(0, len(DATA)))),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, range_bytes=st.integers(1, 300))
def test_it_reads_what_a_file_in_memory_reads(steps: list[tuple[str, int]], range_bytes: int) -> None:
    with ReadAhead(Served(), len(DATA), range_bytes=range_bytes, ranges=3) as far, io.BytesIO(DATA) as near:
        for step, value in steps:
            assert getattr(far, step)(value) == getattr(near, step.removesuffix("_buffer"))(value)
            assert far.tell() == near.tell()


def test_arrow_reads_a_file_and_its_end() -> None:
    table = pa.table({"number": range(50_000), "text": [f"text {number}" for number in range(50_000)]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=7_000)
    data = sink.getvalue().to_pybytes()
    with ReadAhead(Served(data), len(data), range_bytes=10_000, ranges=3) as far:
        assert pq.read_table(far).equals(table)
        far.seek(0)
        whole = far.read_buffer(5_000)
    assert isinstance(whole, memoryview)
    assert whole == data[:5_000]


def test_it_asks_ahead_only_while_reading_goes_on() -> None:
    served = Served()
    with ReadAhead(served, len(DATA), range_bytes=100, ranges=4) as far:
        far.seek(-8, io.SEEK_END)
        assert far.read(8) == DATA[-8:]
        assert served.asked == [(len(DATA) - 8, len(DATA))]
        far.seek(1_000)
        far.read(10)
        assert served.asked[1:] == [(1_000, 1_010)]
        far.read(10)
    assert set(served.asked[2:]) <= {(1_010 + 100 * i, 1_110 + 100 * i) for i in range(4)}
    assert (1_010, 1_110) in served.asked


def test_a_range_that_comes_short_is_a_broken_connection() -> None:
    with ReadAhead(Served(DATA[:100]), 200, range_bytes=50) as far, pytest.raises(ConnectionError, match="0 bytes"):
        far.read()


def test_an_error_of_the_server_reaches_the_reader() -> None:
    def broken(start: int, stop: int) -> bytes:
        raise PermissionError("no")

    with ReadAhead(broken, 200) as far, pytest.raises(PermissionError):
        far.read(1)

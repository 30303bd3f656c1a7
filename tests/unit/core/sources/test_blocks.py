from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from aimass.core.sources.blocks import Block, Quoting, blocks

QUOTING = Quoting(b'"', b",")
FIELD = st.text(alphabet='ab,"\n é', max_size=8)


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


@given(rows=st.lists(st.lists(FIELD, min_size=2, max_size=2), min_size=1, max_size=30), size=st.integers(1, 64))
def test_blocks_end_between_rows_whatever_stands_in_quotes(rows: list[list[str]], size: int) -> None:
    data = _csv(rows)
    found = list(blocks(io.BytesIO(data), quoting=QUOTING, block_bytes=size))
    assert b"".join(block.data for block in found) == data
    parsed = [row for block in found for row in csv.reader(io.StringIO(block.data.decode(), newline=""))]
    assert parsed == rows


@given(rows=st.lists(st.lists(FIELD, min_size=2, max_size=2), min_size=1, max_size=30), size=st.integers(1, 64))
def test_a_reader_that_resumes_gets_the_same_blocks(rows: list[list[str]], size: int) -> None:
    data = _csv(rows)
    found = list(blocks(io.BytesIO(data), quoting=QUOTING, block_bytes=size))
    for index, block in enumerate(found):
        offset, line = block.end
        rest = blocks(io.BytesIO(data[offset:]), offset=offset, line=line, quoting=QUOTING, block_bytes=size)
        assert list(rest) == found[index + 1 :]


@given(rows=st.lists(st.lists(FIELD, min_size=2, max_size=2), min_size=1, max_size=20))
def test_rows_of_a_block_are_found_again_with_their_lines(rows: list[list[str]]) -> None:
    block = Block(_csv(rows), 0, 1)
    begins, ends = block.rows(QUOTING)
    texts = [block.data[begin:end] for begin, end in zip(begins, ends, strict=True)]
    assert texts == [_csv([row]) for row in rows]
    assert block.where(begins) == [1 + block.data.count(b"\n", 0, int(begin)) for begin in begins]


def test_a_stray_quote_inside_a_field_is_no_quoting() -> None:
    data = b'1,5" pipe\n2,plain\n3,x\n'
    assert [block.data for block in blocks(io.BytesIO(data), quoting=QUOTING, block_bytes=11)] == [
        b'1,5" pipe\n',
        b"2,plain\n",
        b"3,x\n",
    ]


def test_a_quote_that_is_never_closed_costs_one_line() -> None:
    data = b'1,a\n2,"open\n3,c\n4,d\n'
    found = list(blocks(io.BytesIO(data), quoting=QUOTING))
    assert [(block.data, block.line, block.fault) for block in found] == [
        (b"1,a\n", 1, None),
        (b'2,"open\n', 2, "a quote is never closed"),
        (b"3,c\n4,d\n", 3, None),
    ]


def test_empty_lines_are_no_rows() -> None:
    begins, _ = Block(b"\n1\r\n\r\n2", 0, 1).rows(QUOTING)
    assert Block(b"\n1\r\n\r\n2", 0, 1).where(begins) == [2, 4]

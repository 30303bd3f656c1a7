from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mysql.connector.errors import Error

from aimass.core.sources.mysql.text_protocol import FULL_PACKET_BYTES, text_rows

Row = Sequence[bytes | None]
END = b"\xfe\0\0\2\0"
DENIED = b"\xff" + (1142).to_bytes(2, "little") + b"#42000SELECT denied"


class Server:
    """A connection whose server sends the given payloads, and then nothing more."""

    def __init__(self, names: Sequence[str], payloads: Sequence[bytes]) -> None:
        self.unread_result = True
        self._names = names
        self._sent = b"".join(_packets(payload) for payload in payloads)
        here, self._there = socket.socketpair()
        self._socket = SimpleNamespace(sock=here)

    def cursor(self, **_: Any) -> Any:
        return SimpleNamespace(execute=self._execute, column_names=self._names, close=lambda: None)

    def _execute(self, _: str) -> None:
        threading.Thread(target=self._send, daemon=True).start()

    def _send(self) -> None:
        with contextlib.suppress(OSError), self._there:
            self._there.sendall(self._sent)

    def rows(self, *, rows: int = 3, size_bytes: int = 1 << 20) -> Iterator[pa.Table]:
        with contextlib.closing(self._socket.sock):
            opened: Any = self
            yield from text_rows(opened, "SELECT", rows=rows, size_bytes=size_bytes)


def _packets(payload: bytes) -> bytes:
    pieces = [payload[i : i + FULL_PACKET_BYTES] for i in range(0, len(payload) + 1, FULL_PACKET_BYTES)]
    return b"".join(len(piece).to_bytes(3, "little") + bytes([i % 256]) + piece for i, piece in enumerate(pieces))


def _payload(row: Row) -> bytes:
    return b"".join(b"\xfb" if cell is None else _length(len(cell)) + cell for cell in row)


def _length(size: int) -> bytes:
    if size < 0xFB:
        return bytes([size])
    mark, width = (0xFC, 2) if size < 1 << 16 else (0xFD, 3) if size < 1 << 24 else (0xFE, 8)
    return bytes([mark]) + size.to_bytes(width, "little")


CELLS = st.one_of(
    st.none(), st.binary(max_size=9), st.sampled_from([bytes([i % 256]) * i for i in (250, 251, 255, 65_535, 65_536)])
)


@settings(max_examples=60, deadline=None)
@given(found=st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), max_size=9)))
def test_rows_come_as_they_were_sent(found: list[Row]) -> None:
    names = [f"c{i}" for i in range(len(found[0]) if found else 2)]
    server = Server(names, [*map(_payload, found), END])
    tables = list(server.rows())
    assert [len(table) for table in tables] == [
        *[3] * (len(found) // 3),
        *([len(found) % 3] if len(found) % 3 else []),
    ] or [0]
    assert [list(row.values()) for table in tables for row in table.to_pylist()] == [list(row) for row in found]
    assert not server.unread_result


def test_a_row_may_need_several_packets() -> None:
    cells = [b"x" * (FULL_PACKET_BYTES + 5), b"y", b"z" * (2 * FULL_PACKET_BYTES)]
    exact = b"e" * (FULL_PACKET_BYTES - 4)
    (table,) = Server(["c"], [*(_payload([cell]) for cell in [*cells, exact]), END]).rows(rows=9, size_bytes=1 << 30)
    assert table.column("c").to_pylist() == [*cells, exact]


def test_a_table_ends_where_it_is_large_enough() -> None:
    server = Server(["c"], [*[_payload([b"x" * 1_000])] * 10, END])
    assert [len(table) for table in server.rows(rows=100, size_bytes=2_500)] == [3, 3, 3, 1]


def test_an_error_between_rows_is_told_and_what_was_cut_off_is_no_end() -> None:
    rows = Server(["c"], [*[_payload([b"x"])] * 4, DENIED]).rows()
    assert len(next(rows)) == 3
    with pytest.raises(Error, match="SELECT denied"):
        next(rows)
    with pytest.raises(ConnectionError, match="closed"):
        list(Server(["c"], [_payload([b"x"])] * 5).rows())

"""Rows of MySQL's text protocol, decoded column by column: row by row, Python is five times slower.

mysql-connector-python sends the statement and reads what the columns are; the packets of the rows are taken from its
socket. Each has a header of four bytes, of which three tell its size, and then the row's cells: a byte that tells a
cell's length (or null, or how many bytes tell it) and the cell.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from mysql.connector.errors import get_exception

if TYPE_CHECKING:
    from mysql.connector.connection import MySQLConnection

BYTES_PER_CALL = 256 << 10
# Where cells are longer, an index of all bytes takes more memory and time than a slice for each cell.
BYTES_PER_SMALL_CELL = 64

HEADER_BYTES = 4
FULL_PACKET_BYTES = 0xFFFFFF
ERROR, END, NULL = 0xFF, 0xFE, 0xFB
# First byte of a length: how many bytes tell it.
WIDE_LENGTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}

Numbers = npt.NDArray[np.int64]


def text_rows(opened: MySQLConnection, statement: str, *, rows: int, size_bytes: int) -> Iterator[pa.Table]:
    """Yield the rows of `statement` as bytes, until `rows` of them or `size_bytes` at a time; an empty table for none.

    Raises mysql-connector-python's errors, and OSError where the connection breaks.
    """
    cursor = opened.cursor(raw=True, buffered=False)
    cursor.execute(statement)
    names = list(cursor.column_names)
    # Nothing public gives more than a row at a time.
    packets = _Packets(cast("Any", opened)._socket.sock)
    is_first = True
    while not packets.is_at_end:
        data, starts = packets.take(rows, size_bytes)
        if len(starts) or is_first:
            yield pa.Table.from_arrays(_columns(data, starts, len(names)), names=names)
        is_first = False
    opened.unread_result = False
    cursor.close()


class _Packets:
    """The packets of rows that come from a socket."""

    def __init__(self, connected: socket.socket) -> None:
        self.is_at_end = False
        self._socket = connected
        self._held = bytearray()

    def take(self, rows: int, size_bytes: int) -> tuple[bytearray, Numbers]:
        """Return bytes, and where in them the next rows start; `is_at_end` where no more come."""
        starts: list[int] = []
        at = 0
        while len(starts) < rows and at < size_bytes:
            end = self._end_of_packet(at)
            if end is None:
                self._receive()
                continue
            first, size = self._held[at + HEADER_BYTES], end - at - HEADER_BYTES
            if first == ERROR:
                raise get_exception(bytes(self._held[at:end]))
            if first == END and size < FULL_PACKET_BYTES:
                self.is_at_end = True
                break
            starts.append(at + HEADER_BYTES)
            at = end
        data = self._held[:at]
        del self._held[:at]
        return data, np.array(starts, np.int64)

    def _receive(self) -> None:
        piece = self._socket.recv(BYTES_PER_CALL)
        if not piece:
            raise ConnectionError("the server closed the connection")
        self._held += piece

    def _end_of_packet(self, at: int) -> int | None:
        """Return where the packet at `at` ends, joined with those that go on with it; None if that has not come."""
        held, headers = self._held, list[int]()
        while len(held) >= at + HEADER_BYTES:
            size = held[at] | held[at + 1] << 8 | held[at + 2] << 16
            if len(held) < at + HEADER_BYTES + size:
                return None
            at += HEADER_BYTES + size
            if size < FULL_PACKET_BYTES:
                for header in reversed(headers):
                    del held[header : header + HEADER_BYTES]
                return at - HEADER_BYTES * len(headers)
            headers.append(at)
        return None


def _columns(data: bytearray, starts: Numbers, count: int) -> list[pa.Array]:
    """Return the cells of rows that start at `starts`, as `count` columns."""
    raw = np.frombuffer(data, np.uint8)
    columns = []
    for _ in range(count):
        column, starts = _column(data, raw, starts)
        columns.append(column)
    return columns


def _column(data: bytearray, raw: npt.NDArray[np.uint8], at: Numbers) -> tuple[pa.Array, Numbers]:
    """Return the cells that start at `at`, and where the next ones do."""
    first = raw[at]
    sizes = np.where(first == NULL, 0, first).astype(np.int64)
    at = at + 1
    for mark, width in WIDE_LENGTHS.items():
        wide = np.flatnonzero(first == mark)
        if len(wide):
            digits = raw[at[wide, None] + np.arange(width)].astype(np.int64)
            sizes[wide] = digits @ (1 << 8 * np.arange(width, dtype=np.int64))
            at[wide] += width
    offsets = np.zeros(len(at) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    is_valid = np.packbits(first != NULL, bitorder="little")
    buffers = [pa.py_buffer(is_valid), pa.py_buffer(offsets), pa.py_buffer(_joined(data, raw, at, sizes, offsets))]
    return pa.Array.from_buffers(pa.large_binary(), len(at), buffers), at + sizes


def _joined(
    data: bytearray, raw: npt.NDArray[np.uint8], at: Numbers, sizes: Numbers, offsets: Sequence[int] | Numbers
) -> bytes | npt.NDArray[np.uint8]:
    """Return the bytes of all cells, one after the other."""
    total = int(offsets[-1])
    if total > BYTES_PER_SMALL_CELL * len(at):
        view = memoryview(data)
        return b"".join(view[start : start + size] for start, size in zip(at.tolist(), sizes.tolist(), strict=True))
    # A cell's bytes lie where they did, moved by the distance between its old place and its new one.
    index: Numbers = np.repeat(at - offsets[:-1], sizes) + np.arange(total)
    return raw[index]

"""Cut a stream of bytes into blocks of whole rows, and find the rows again inside a block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

BLOCK_BYTES = 8 << 20
MAX_ROW_BYTES = 64 << 20

Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Quoting:
    """How a row may hold a line break: inside quotes that open right after a delimiter.

    Attributes
    ----------
    quote, delimiter : bytes
        One byte each.
    """

    quote: bytes
    delimiter: bytes

    def is_open(self, data: bytes) -> bool:
        """Return whether `data` ends inside a quoted field."""
        spans = self.spans(data)
        return bool(len(spans)) and int(spans[-1, 1]) == len(data) and not self._closes(data[spans[-1, 0] :])

    def spans(self, data: bytes) -> Offsets:
        """Return begin and end of each quoted field, shape (n, 2); an unclosed one ends with the data."""
        quote, delimiter = re.escape(self.quote), re.escape(self.delimiter)
        pattern = rb"(?<![^%b\n\r])%b[^%b]*(?:%b%b[^%b]*)*(?:%b|\Z)" % (delimiter, *[quote] * 6)
        found = [match.span() for match in re.finditer(pattern, data)]
        return np.array(found, dtype=np.int64).reshape(-1, 2)

    def _closes(self, field: bytes) -> bool:
        tail = len(field) - len(field.rstrip(self.quote))
        # A field that is quotes alone has an even number of them when it is closed, any other an odd tail.
        return tail % 2 == (0 if tail == len(field) else 1)


@dataclass(frozen=True)
class Block:
    """Whole rows of a text file.

    Attributes
    ----------
    data : bytes
        The rows, line breaks included.
    offset : int
        Where they begin in the decompressed file, in bytes.
    line : int
        Number of their first line, from 1.
    fault : str, optional
        Why these bytes are no rows.
    """

    data: bytes
    offset: int
    line: int
    fault: str | None = None

    @property
    def end(self) -> tuple[int, int]:
        """Offset and line of what follows."""
        return self.offset + len(self.data), self.line + self.breaks

    @cached_property
    def breaks(self) -> int:
        """The number of its line breaks."""
        return count(self.data, b"\n")

    @property
    def is_ended(self) -> bool:
        """Whether its last line has its break."""
        return self.data.endswith(b"\n")

    @property
    def lines(self) -> int:
        """The number of its lines."""
        return self.breaks + (not self.is_ended)

    def rows(self, quoting: Quoting | None) -> tuple[Offsets, Offsets]:
        """Return begin and end of every row that is not empty, as offsets into `data`."""
        ends = _line_ends(self.data)
        if quoting is not None and quoting.quote in self.data:
            ends = _outside(ends, quoting.spans(self.data))
        if self.data and (not len(ends) or ends[-1] < len(self.data)):
            ends = np.append(ends, len(self.data))
        begins = np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)]
        keep = [bool(self.data[begin:end].strip(b"\r\n")) for begin, end in zip(begins, ends, strict=True)]
        return begins[keep], ends[keep]

    def where(self, begins: Offsets) -> list[int]:
        """Return the line numbers of the rows that begin at `begins`."""
        return [int(line) for line in self.line + np.searchsorted(_line_ends(self.data), begins, side="right")]


class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""


def blocks(
    stream: Readable,
    *,
    offset: int = 0,
    line: int = 1,
    quoting: Quoting | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Block]:
    """Yield the rest of `stream`, which stands at `offset`, in blocks of whole rows.

    Where a block ends depends on its offset alone, so a reader that resumes gets the same blocks. A row is at most
    64 MiB; where a quote stays open for longer, or to the file's end, its line is a block with a fault.
    """
    buffer, wanted, is_at_end = b"", block_bytes, False
    while True:
        if not is_at_end:
            buffer += _read_exactly(stream, wanted - len(buffer))
            is_at_end = len(buffer) < wanted
        if not buffer:
            return
        window = buffer[:wanted]
        is_last = is_at_end and len(window) == len(buffer)
        cut, fault = _last_row_end(window, quoting, is_last=is_last), None
        if cut == 0 and not is_last and wanted < MAX_ROW_BYTES:
            wanted = min(wanted * 2, MAX_ROW_BYTES)
            continue
        if cut == 0:
            fault = "a quote is never closed" if b"\n" in window else "the row is too long"
            cut = window.find(b"\n") + 1 or len(window)
        block = Block(window[:cut], offset, line, fault)
        yield block
        offset, line = block.end
        buffer, wanted = buffer[cut:], block_bytes


def _last_row_end(data: bytes, quoting: Quoting | None, *, is_last: bool) -> int:
    """Return where the last whole row of `data` ends; 0 when there is none."""
    end = len(data) if is_last else data.rfind(b"\n") + 1
    if quoting is None or quoting.quote not in data or count(data[:end], quoting.quote) % 2 == 0:
        return end
    if is_last and not quoting.is_open(data):
        return end
    ends = _outside(_line_ends(data[:end]), quoting.spans(data[:end]))
    return int(ends[-1]) if len(ends) else 0


def count(data: bytes, byte: bytes) -> int:
    """Return how often one byte stands in `data`; where that is often, three times as fast as bytes.count."""
    return int(np.count_nonzero(np.frombuffer(data, dtype=np.uint8) == byte[0]))


def _line_ends(data: bytes) -> Offsets:
    return np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n")).astype(np.int64) + 1


def _read_exactly(stream: Readable, size: int) -> bytes:
    chunks = []
    while size > 0:
        chunk = stream.read(size)
        if not chunk:
            break
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def _outside(ends: Offsets, spans: Offsets) -> Offsets:
    """Return the line ends that no quoted span covers."""
    if not len(spans):
        return ends
    nearest = np.searchsorted(spans[:, 0], ends - 1, side="right") - 1
    inside = (nearest >= 0) & (ends <= spans[nearest, 1])
    outside: Offsets = ends[~inside]
    return outside

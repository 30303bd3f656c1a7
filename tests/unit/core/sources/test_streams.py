from __future__ import annotations

import gzip
import io
import random
from typing import IO, cast

import pytest

from aimass.core.errors import CorruptDataError, UnreachableError
from aimass.core.sources.file_access import SourceFile
from aimass.core.sources.read_ahead import ReadAhead
from aimass.core.sources.streams import Compression, open_stream

# Noise, so that its compressed bytes are as many.
DATA = random.Random(0).randbytes(100_000)


def served(content: bytes, size: int) -> IO[bytes]:
    """Return a file of `size` bytes that a server sends no more of than `content`."""
    return cast("IO[bytes]", ReadAhead(lambda start, stop: content[start:stop], size, range_bytes=10_000))


@pytest.mark.parametrize(("compression", "content"), [("none", DATA), ("gzip", gzip.compress(DATA, mtime=0))])
def test_an_answer_that_is_cut_short_is_no_damage(compression: Compression, content: bytes) -> None:
    file = SourceFile(uri="hdfs://server/a", name="a", bytes=len(content), version="1")
    with (
        pytest.raises(UnreachableError, match="0 bytes came where 10,000 were asked for"),
        open_stream(file, lambda _: served(content[:50_000], len(content)), compression=compression) as stream,
    ):
        stream.read()


def test_a_file_that_is_cut_short_is_damaged() -> None:
    content = gzip.compress(DATA, mtime=0)[:50_000]
    file = SourceFile(uri="hdfs://server/a", name="a", bytes=len(content), version="1")
    with (
        pytest.raises(CorruptDataError, match="hdfs://server/a cannot be read"),
        open_stream(file, lambda _: io.BytesIO(content), compression="gzip") as stream,
    ):
        stream.read()

"""What the tests of sources that read files elsewhere share: the files, and the contracts over them."""

from __future__ import annotations

import gzip
import io
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from aimass.core.sources import blocks
from aimass.core.sources.base import Source
from aimass.core.testing.sources import IncrementalSourceContract, SourceContract

FRAME = pl.DataFrame({"n": range(300), "s": [None if i % 5 == 0 else f'雪 é "{i}"\n' for i in range(300)]})


class Place(Protocol):
    """A folder of one test, wherever it is."""

    def put(self, files: dict[str, bytes]) -> None:
        """Write files."""

    def source(self, pattern: str) -> Source:
        """Return the source of the files that `pattern` names."""


def parquet(frame: pl.DataFrame | pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(frame.to_arrow() if isinstance(frame, pl.DataFrame) else frame, buffer, **options)
    return buffer.getvalue()


def made(kind: str) -> dict[str, bytes]:
    """Return the frame as files of that format."""
    if kind == "csv":
        return {"x.csv": FRAME.write_csv().encode() + b"bad\n"}
    if kind == "csv.gz":
        return {"x.csv.gz": gzip.compress(FRAME.write_csv().encode())}
    if kind == "jsonl":
        parts = (FRAME[:100], FRAME[100:])
        return {f"{number}.jsonl": part.write_ndjson().encode() for number, part in enumerate(parts)}
    if kind == "parquet":
        return {"x.parquet": parquet(FRAME, row_group_size=70)}
    buffer = io.BytesIO()
    orc.write_table(FRAME.to_arrow().cast(pa.schema([("n", pa.int64()), ("s", pa.string())])), buffer)
    return {"x.orc": buffer.getvalue()}


class FormatsContract(SourceContract):
    """Every format, by small batches; a test class inherits it and provides the fixture `place`."""

    @pytest.fixture(params=["csv", "csv.gz", "jsonl", "parquet", "orc"])
    def source(self, place: Place, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Source:
        defaults: Any = blocks.blocks.__kwdefaults__
        monkeypatch.setattr(blocks.blocks, "__kwdefaults__", {**defaults, "block_bytes": 1_000})
        place.put(made(request.param))
        return place.source("*")


class NewFilesContract(IncrementalSourceContract):
    """New files, also ones whose names come before the others'; inherited as `FormatsContract` is."""

    @pytest.fixture
    def source(self, place: Place) -> Source:
        place.put({"in/500.csv": b"n\n-1\n-2\n"})
        return place.source("in/*.csv")

    @pytest.fixture
    def reopen(self, place: Place, source: Source) -> Callable[[], Source]:
        return lambda: place.source("in/*.csv")

    @pytest.fixture
    def numbers(self) -> Iterator[int]:
        return itertools.count(1)

    @pytest.fixture
    def add_rows(self, place: Place, numbers: Iterator[int]) -> Callable[[int], None]:
        return lambda count: _add(place, count, next(numbers))

    @pytest.fixture
    def add_late_rows(self, place: Place, numbers: Iterator[int]) -> Callable[[int], None]:
        return lambda count: _add(place, count, -next(numbers))


def _add(place: Place, count: int, number: int) -> None:
    """Add a file of `count` rows, before the others where `number` is below 0."""
    text = "".join(f"{1_000 * number + i}\n" for i in range(count))
    place.put({f"in/{500 + number}.csv": f"n\n{text}".encode()})

"""Every source keeps the same promises; the fake in memory is one of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pyarrow as pa
import pyarrow.orc as orc
import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.errors import UnreachableError
from aimass.core.sources import blocks, file_rows
from aimass.core.sources.base import Source
from aimass.core.sources.files import FilesSettings, FilesSource
from aimass.core.testing.sources import (
    IncrementalSourceContract,
    MemorySettings,
    MemorySource,
    MemoryTable,
    SourceContract,
    check_cancel,
    peak_buffered_bytes,
)

FRAME = pl.DataFrame({"n": range(500), "s": [None if i % 5 == 0 else f'text, "{i}"\n' for i in range(500)]})


def _write(folder: Path, kind: str) -> str:
    if kind == "csv":
        FRAME.write_csv(folder / "x.csv")
        with (folder / "x.csv").open("a") as rows:
            rows.write("bad\n")
    elif kind == "csv.gz":
        FRAME.write_csv(folder / "plain")
        import gzip

        (folder / "x.csv.gz").write_bytes(gzip.compress((folder / "plain").read_bytes()))
    elif kind == "jsonl":
        FRAME[:250].write_ndjson(folder / "1.jsonl")
        FRAME[250:].write_ndjson(folder / "2.jsonl")
        return str(folder / "*.jsonl")
    elif kind == "parquet":
        FRAME.write_parquet(folder / "x.parquet", row_group_size=100)
    elif kind == "orc":
        orc.write_table(FRAME.to_arrow().cast(pa.schema([("n", pa.int64()), ("s", pa.string())])), folder / "x.orc")
    return str(folder / f"x.{kind}")


class TestSources(SourceContract):
    @pytest.fixture(params=["memory", "csv", "csv.gz", "jsonl", "parquet", "orc"])
    def source(self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
        deps = Deps.from_runtime(Runtime(store=str(tmp_path / "store")))
        if request.param == "memory":
            return MemorySource(MemorySettings(rows=300, reject_every=7), deps)
        defaults: Any = blocks.blocks.__kwdefaults__
        monkeypatch.setattr(blocks.blocks, "__kwdefaults__", {**defaults, "block_bytes": 1_000})
        monkeypatch.setattr(file_rows, "GATHER_BYTES", 1_500)
        return FilesSource(FilesSettings(uri=_write(tmp_path, request.param)), deps)


class TestIncrementalMemory(IncrementalSourceContract):
    @pytest.fixture
    def table(self) -> str:
        name = uuid4().hex
        MemoryTable.named(name).commit(10, 11)
        return name

    @pytest.fixture
    def source(self, table: str, tmp_path: Path) -> Source:
        deps = Deps.from_runtime(Runtime(store=str(tmp_path / "store")))
        return MemorySource(MemorySettings(table=table, rows_per_batch=3), deps)

    @pytest.fixture
    def add_rows(self, table: str) -> Callable[[int], None]:
        found = MemoryTable.named(table)
        return lambda n: found.commit(*range(max(found.numbers) + 1, max(found.numbers) + 1 + n))

    @pytest.fixture
    def add_late_rows(self, table: str) -> Callable[[int], None]:
        found = MemoryTable.named(table)
        return lambda n: found.commit(*range(min(found.numbers) - n, min(found.numbers)))


def test_reading_can_be_stopped_and_holds_little(tmp_path: Path) -> None:
    source = MemorySource(MemorySettings(rows=50_000), Deps.from_runtime(Runtime(store=str(tmp_path))))
    check_cancel(source, source.position())
    assert peak_buffered_bytes(source, source.position()) < 1 << 20


def test_the_fake_fails_as_often_as_it_is_told(tmp_path: Path) -> None:
    source = MemorySource(MemorySettings(failure_probability=1), Deps.from_runtime(Runtime(store=str(tmp_path))))
    with pytest.raises(UnreachableError):
        list(source.read(source.position()))

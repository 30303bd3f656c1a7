"""What Arrow alone needs to turn a file in memory into zstd Parquet, on all cores: no ingest of its rows is faster.

Nothing is fetched, checked, digested or kept in order; each thread takes the next piece and writes a file of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

CSV_PIECE_BYTES = 8 << 20


def floor_s(file: Path, folder: Path) -> float:
    """Return the seconds for a Parquet or CSV file; a reader and writer per core, what they write into `folder`."""
    data = pa.py_buffer(file.read_bytes())
    pieces = _groups(data) if file.suffix == ".parquet" else _lines(data)
    threads = os.cpu_count() or 1
    begin = time.perf_counter()
    work = iter(list(pieces))
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda number: _write(work, folder / f"floor-{number}.parquet"), range(threads)))
    return time.perf_counter() - begin


def _groups(data: pa.Buffer) -> Iterator[partial[pa.Table]]:
    for group in range(pq.read_metadata(pa.BufferReader(data)).num_row_groups):
        yield partial(pq.ParquetFile(pa.BufferReader(data)).read_row_group, group, use_threads=False)


def _lines(data: pa.Buffer) -> Iterator[partial[pa.Table]]:
    """Cut at the ends of lines; nothing here has line breaks between quotes."""
    view = bytes(data)
    names = view[: view.index(b"\n")].decode().replace('"', "").split(",")
    ends = [view.index(b"\n") + 1]
    while ends[-1] < len(view):
        ends.append(view.find(b"\n", ends[-1] + CSV_PIECE_BYTES) + 1 or len(view))
    options = {
        "read_options": pa.csv.ReadOptions(use_threads=False, column_names=names),
        "convert_options": pa.csv.ConvertOptions(strings_can_be_null=True),
    }
    for begin, end in pairwise(ends):
        yield partial(pa.csv.read_csv, pa.BufferReader(data.slice(begin, end - begin)), **options)


def _write(work: Iterator[partial[pa.Table]], file: Path) -> None:
    writer: pq.ParquetWriter | None = None
    for read in work:
        table = read()
        writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()
        file.unlink()

"""What every source does, by files in HDFS; and what only a file system of many machines can do wrong."""

from __future__ import annotations

import gzip
import logging
import os
import signal
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pyarrow as pa
import pytest
from hdfs_native import WriteOptions

from aimass.core.errors import (
    CorruptDataError,
    DataError,
    EmptyDataError,
    NotAllowedError,
    NotFoundError,
    UnreachableError,
)
from aimass.core.sources.hdfs.connection import HdfsConnection
from aimass.core.sources.hdfs.source import HdfsSource
from aimass.core.stages import ingest
from aimass.core.stages.ingest import IngestConfig
from aimass.core.testing.sources import (
    check_cancel,
    kept,
    peak_buffered_bytes,
)
from tests.integration.file_sources import FRAME, FormatsContract, NewFilesContract, parquet
from tests.integration.hdfs.conftest import Folder
from tests.integration.peak_memory import growth_bytes
from tests.services.hadoop import Hadoop
from tests.services.proxy import proxy

pytestmark = [pytest.mark.integration("hdfs"), pytest.mark.xdist_group("hdfs")]

Read = Callable[[HdfsSource], list[dict[str, Any]]]


class TestHdfsKeepsTheContract(FormatsContract):
    @pytest.fixture
    def place(self, folder: Folder) -> Folder:
        return folder


class TestHdfsTellsWhatIsNew(NewFilesContract):
    @pytest.fixture
    def place(self, folder: Folder) -> Folder:
        return folder


def test_types_nulls_and_text_survive(folder: Folder, rows: Read) -> None:
    table = pa.table(
        {
            "i": pa.array([1, None, -(2**62)], pa.int64()),
            "u": pa.array([0, None, 255], pa.uint8()),
            "f": pa.array([0.1, None, float("inf")], pa.float64()),
            "b": pa.array([True, None, False]),
            "d": pa.array([date(1, 1, 1), None, date(9999, 12, 31)]),
            "t": pa.array(["1970-01-01", None, "2026-11-24T01:02:03.456789"]).cast(pa.timestamp("us")),
            "m": pa.array([Decimal("1.50"), None, Decimal("-99999.99")], pa.decimal128(9, 2)),
            "s": pa.array(["", None, "雪 \U0001f600 é\n"]),
            "x": pa.array([b"\x00\xff", None, b""]),
        }
    )
    folder.put({"雪 1.parquet": parquet(table)})
    assert rows(folder.source("*.parquet")) == table.to_pylist()


def test_one_row_wide_rows_and_a_huge_cell(folder: Folder, rows: Read) -> None:
    wide = {f"column_{i}": [i] for i in range(500)}
    cell = "x" * (16 << 20)
    folder.put(
        {
            "one.csv": b"n\n1\n",
            "wide.parquet": parquet(pa.table(wide)),
            "huge.csv": f"n,s\n1,{cell}\n2,y\n".encode(),
        }
    )
    assert rows(folder.source("one.csv")) == [{"n": 1}]
    assert rows(folder.source("wide.parquet")) == [{name: values[0] for name, values in wide.items()}]
    assert rows(folder.source("huge.csv")) == [{"n": 1, "s": cell}, {"n": 2, "s": "y"}]


def test_a_large_file_needs_bounded_memory_and_can_be_left(folder: Folder) -> None:
    frame = pl.DataFrame({"n": range(1_500_000)}).with_columns(s=pl.col("n").hash().cast(pl.String))
    folder.put({"large.parquet": parquet(frame, row_group_size=100_000)})
    source = folder.source("large.parquet")
    position = source.position()
    check_cancel(source, position)
    assert peak_buffered_bytes(source, position) < 64 << 20


def test_patterns_go_down_into_folders_and_pass_by_what_is_hidden(folder: Folder, rows: Read) -> None:
    hidden = ("_temporary/0/b.csv", "a/.part.csv", "a/_SUCCESS", "a/b.csv.tmp")
    folder.put({"a/x/1.csv": b"n\n1\n", "a/2.csv": b"n\n2\n", "b/3.csv": b"n\n3\n", **dict.fromkeys(hidden, b"n\n9\n")})
    assert rows(folder.source("**/*.csv")) == [{"n": 2}, {"n": 1}, {"n": 3}]
    assert rows(folder.source("*/*.csv")) == [{"n": 2}, {"n": 3}]
    assert rows(folder.source("a/**")) == [{"n": 2}, {"n": 1}]
    assert rows(folder.source("[b-z]/?.csv")) == [{"n": 3}]


def test_what_is_not_there_is_told_with_what_is(folder: Folder) -> None:
    folder.put({"flights/2026/january.csv": b"n\n1\n"})
    for pattern, nearest in {
        "flights/2026/januar.csv": "january.csv",
        "flight/2026/january.csv": "flights",
        "flights/2025/01/*.csv": "2026",
    }.items():
        with pytest.raises(NotFoundError, match=nearest) as caught:
            folder.source(pattern).position()
        assert caught.value.details["nearest"] == nearest
    with pytest.raises(NotFoundError, match=r"january\.csv"):
        folder.source("flights/2026/*.parquet").position()
    with pytest.raises(NotFoundError, match="is a folder"):
        folder.source("flights").position()


def test_who_may_not_read_is_told_so(folder: Folder) -> None:
    folder.put({"x.csv": b"n\n1\n"})
    folder.server.client.set_permission(f"{folder.path}/x.csv", 0o600)
    source = folder.source("x.csv", {"user": "stranger"})
    with pytest.raises(NotAllowedError, match="stranger"):
        list(source.read(source.position()))
    folder.server.client.set_permission(folder.path, 0o700)
    with pytest.raises(NotAllowedError, match="stranger"):
        folder.source("*.csv", {"user": "stranger"}).position()


@pytest.mark.parametrize("wrong", [{"host": "nobody.invalid"}, {"port": 1}])
def test_nobody_at_the_address(folder: Folder, wrong: dict[str, Any]) -> None:
    with pytest.raises(UnreachableError, match="Check host"):
        folder.source("x.csv", wrong).position()


def test_a_name_node_that_is_silent_does_not_hold_up_forever(folder: Folder) -> None:
    folder.put({"x.csv": b"n\n1\n"})
    process = folder.server.name_node.pid
    os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(UnreachableError):
            folder.source("x.csv", {"timeout_s": 1}).position()
    finally:
        os.kill(process, signal.SIGCONT)
    assert folder.source("x.csv").position()


def test_a_name_node_that_goes_away_and_comes_back(folder: Folder, rows: Read) -> None:
    folder.put({"1.csv": b"n\n1\n", "2.csv": b"n\n2\n"})
    port = folder.deps().connection("aimass_hdfs", HdfsConnection).port
    with proxy(folder.server.host, port or 0) as between:
        source = folder.source("*.csv", {"port": between.port, "timeout_s": 3})
        position = source.position()
        between.go_down()
        with pytest.raises(UnreachableError):
            list(source.read(position))
        between.come_up()
        assert sum(batch.rows.num_rows for batch in folder.source("*.csv").read(position)) == 2
        assert rows(source) == [{"n": 1}, {"n": 2}]


def test_files_that_are_still_written_wait_for_a_later_run(folder: Folder, rows: Read) -> None:
    folder.put({"1.csv": b"n\n1\n"})
    client = folder.server.client
    options = WriteOptions(block_size=4_096)
    writers = [client.create(f"{folder.path}/{name}.csv", options) for name in ("new", "seen", "whole-block")]
    writers[1].write(b"n\n2\n")
    writers[1].hsync()
    writers[2].write(b"n\n" + b"3\n" * 2_047 + b"3")
    source = folder.source("*.csv")
    position = kept(source.position())
    assert [name for name, *_ in position["files"]] == ["1.csv"]
    if folder.protocol == "rpc":
        with pytest.raises(DataError, match="still being written"):
            folder.source("seen.csv", on_open_file="error").position()
    with pytest.raises(EmptyDataError):
        folder.source("new.csv").position()
    assert source.position(position) is None
    writers[0].write(b"n\n4\n")
    for writer in writers:
        writer.close()
    assert len(source.position(position)["files"]) == 3
    assert len(rows(source)) == 1 + 1 + 1 + 2_048


def test_files_that_change_or_vanish_go_by_the_rule(folder: Folder) -> None:
    folder.put({"1.csv": b"n\n1\n", "2.csv": b"n\n2\n"})
    source = folder.source("*.csv")
    position = kept(source.position())
    with folder.server.client.append(f"{folder.path}/1.csv") as file:
        file.write(b"9\n")
    with pytest.raises(DataError, match=r"changed while"):
        list(source.read(position))
    with pytest.raises(DataError, match=r"1\.csv.* has other bytes"):
        source.position(position)
    again = folder.source("*.csv", on_changed_file="read_again").position(position)
    assert [name for name, *_ in again["files"]] == ["1.csv"]
    folder.server.client.delete(f"{folder.path}/2.csv")
    with pytest.raises(DataError, match=r"2\.csv.* is gone"):
        folder.source("*.csv", on_changed_file="read_again").position(position)
    assert folder.source("*.csv", on_vanished_file="accept").position(kept(again)) is None


def read(source: HdfsSource) -> int:
    """Return the number of rows."""
    return sum(batch.rows.num_rows for batch in source.read(source.position()))


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("x.parquet", parquet(FRAME)[:-20], CorruptDataError),
        ("x.csv.gz", gzip.compress(os.urandom(90_000).hex().encode())[:-5_000], CorruptDataError),
        ("x.csv", b"", EmptyDataError),
        ("x.parquet", b"", EmptyDataError),
    ],
    ids=["footer", "cut-gzip", "empty-csv", "empty-parquet"],
)
def test_broken_files_are_one_clear_error(folder: Folder, name: str, content: bytes, error: type[Exception]) -> None:
    folder.put({name: content})
    with pytest.raises(error, match=name):
        read(folder.source(name))


def test_text_that_is_not_utf8_is_kept_aside_with_its_line(folder: Folder) -> None:
    folder.put({"x.csv": b"n,s\n1,ok\n2,\xff\xfe\n3,fine\n"})
    source = folder.source("x.csv", types={"s": "string"})
    (batch,) = source.read(source.position())
    assert batch.rows.num_rows == 2
    assert batch.rejects is not None
    assert batch.rejects["where"].to_pylist() == ["x.csv:3"]


def test_no_secret_is_told(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    if folder.protocol == "rpc":
        secret, wrong = "s3cr3t-key-table", {"kerberos_keytab": "/nowhere/s3cr3t-key-table", "port": 1}
    else:
        secret, wrong = "s3cr3t", {"user": None, "token": "s3cr3t", "port": 1}
    folder.put({"x.csv": b"n\n1\n"})
    caplog.set_level(logging.INFO)
    with pytest.raises(UnreachableError) as caught:
        folder.source("x.csv", wrong).position()
    assert secret not in f"{caught.value}{caught.value.__cause__}{caplog.text}"


def test_ingest_publishes_files_of_hdfs(folder: Folder) -> None:
    folder.put({"1.csv": FRAME.write_csv().encode(), "2.csv": FRAME.write_csv().encode()})
    source = {"type": "hdfs", "path": f"{folder.path}/*.csv"}
    config = IngestConfig(name="rows", source=source, mode="incremental")
    result = ingest.run(config, folder.deps())
    assert result.rows == 600


def test_no_secret_is_published(server: Hadoop, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = Folder(f"/tests/{uuid4().hex[:8]}", server, "webhdfs", tmp_path)
    folder.put({"1.csv": FRAME.write_csv().encode()})
    # A NameNode without Kerberos asks for no password, and takes one.
    deps = folder.deps(password="hunter2-s3cr3t")
    with caplog.at_level(logging.DEBUG):
        config = IngestConfig(name="rows", source={"type": "hdfs", "path": f"{folder.path}/1.csv"})
        assert ingest.run(config, deps).rows == 300
    written = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert folder.path.encode() in written
    assert b"hunter2-s3cr3t" not in written
    assert "hunter2-s3cr3t" not in caplog.text


def test_a_data_node_is_killed_while_it_is_read(both: list[Folder]) -> None:
    """The connections are cut in the middle of a block, for the dead program's machine closes them.

    No proxy could do it: the NameNode sends clients of both protocols to the address that the DataNode itself tells.
    """
    lines = pl.DataFrame({"n": range(2_400_000)}).with_columns(s=pl.col("n").hash().cast(pl.String)).write_csv()
    both[0].put({"large.csv": lines.encode()})
    sources = [folder.source("large.csv") for folder in both]
    position = sources[0].position()
    readings = [source.read(position) for source in sources]
    firsts = [next(reading) for reading in readings]
    both[0].server.data_node.kill()
    try:
        for reading in readings:
            with pytest.raises(UnreachableError):
                list(reading)
    finally:
        both[0].server.data_node.start()
    for source, first in zip(sources, firsts, strict=True):
        rest = sum(batch.rows.num_rows for batch in source.read(position, kept(first.resume)))
        assert first.rows.num_rows + rest == 2_400_000


def test_safe_mode_is_told(both: list[Folder]) -> None:
    both[0].put({"x.csv": b"n\n1\n"})
    both[0].server.admin("-safemode", "enter")
    try:
        for folder in both:
            assert read(folder.source("x.csv")) == 1
            client = folder.deps().connection("aimass_hdfs", HdfsConnection).open()
            with pytest.raises(UnreachableError, match="safe mode"):
                client.delete(f"{folder.path}/x.csv")
    finally:
        both[0].server.admin("-safemode", "leave")


def test_four_times_as_much_takes_no_more_memory(folder: Folder) -> None:
    rows = b"%s\n" % (b"x" * 1_000) * 48_000
    folder.put({"less.csv": b"s\n" + rows, "more.csv": b"s\n" + 4 * rows})
    less, more = ({"type": "hdfs", "path": f"{folder.path}/{name}.csv"} for name in ("less", "more"))
    grown, read = growth_bytes(folder.deps(), less, more)
    assert read > 190_000_000
    assert grown < read / 2

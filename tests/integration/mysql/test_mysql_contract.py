"""MySQL's rows of the contract that every source keeps, and the shapes of tables that are hard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from aimass.core.sources.mysql import readers, reading
from aimass.core.sources.mysql.source import MySqlSource
from aimass.core.testing.sources import (
    IncrementalSourceContract,
    SourceContract,
    check_cancel,
    check_resume,
    peak_buffered_bytes,
)
from tests.integration.mysql.conftest import Open
from tests.integration.peak_memory import growth_bytes
from tests.services.mariadb import MariaDb
from tests.services.server import until

pytestmark = [pytest.mark.integration("mysql"), pytest.mark.xdist_group("mysql")]


def all_rows(source: MySqlSource) -> pa.Table:
    position = source.position()
    found = [batch.rows for batch in source.read(position)]
    return pa.concat_tables([source.schema(position).empty_table(), *found]).combine_chunks()


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROWS_PER_RANGE", 256)


class TestNumbers(SourceContract, IncrementalSourceContract):
    """By the table's own key, a number; ids that were left out come late."""

    @pytest.fixture
    def source(self, server: MariaDb, table: str, open_source: Open) -> MySqlSource:
        server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, text VARCHAR(20), day DATE)")
        rows = [[2 * i, f"text {i}", None if i % 3 else "2024-02-29"] for i in range(1, 600)]
        server.run(f"INSERT INTO {table} VALUES (%s, %s, %s)", rows=rows)
        return open_source(table=table, incremental=["id"])

    @pytest.fixture
    def add_rows(self, server: MariaDb, table: str, source: MySqlSource) -> Callable[[int], None]:
        return lambda count: _insert(server, table, "SELECT MAX(id) + 2 FROM", count, step=2)

    @pytest.fixture
    def add_late_rows(self, server: MariaDb, table: str, source: MySqlSource) -> Callable[[int], None]:
        # Odd numbers, downwards from the newest.
        return lambda count: _insert(server, table, "SELECT MIN(IF(id % 2, id, 1199)) - 2 FROM", count, step=-2)

    @pytest.fixture
    def reopen(self, open_source: Open, table: str, source: MySqlSource) -> Callable[[], MySqlSource]:
        return lambda: open_source(table=table, incremental=["id"])


class TestTimes(SourceContract, IncrementalSourceContract):
    """By the time of the last change: many rows have the same."""

    @pytest.fixture(params=[True, False], ids=["indexed", "without index"])
    def source(self, server: MariaDb, table: str, open_source: Open, request: pytest.FixtureRequest) -> MySqlSource:
        index = ", INDEX (changed)" if request.param else ""
        server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY AUTO_INCREMENT, changed DATETIME NOT NULL{index})")
        rows = [[f"2024-01-01 00:00:{i // 20:02}"] for i in range(600)]
        server.run(f"INSERT INTO {table} (changed) VALUES (%s)", rows=rows)
        return open_source(table=table, incremental=["changed"])

    @pytest.fixture
    def add_rows(self, server: MariaDb, table: str, source: MySqlSource) -> Callable[[int], None]:
        return lambda count: self._insert(server, table, "MAX(changed) + INTERVAL 1 SECOND", count)

    @pytest.fixture
    def add_tied_rows(self, server: MariaDb, table: str, source: MySqlSource) -> Callable[[int], None]:
        return lambda count: self._insert(server, table, "MAX(changed)", count)

    @pytest.fixture
    def add_late_rows(self, server: MariaDb, table: str, source: MySqlSource) -> Callable[[int], None]:
        return lambda count: self._insert(server, table, "MAX(changed) - INTERVAL 7 SECOND", count)

    @pytest.fixture
    def reopen(self, open_source: Open, table: str, source: MySqlSource) -> Callable[[], MySqlSource]:
        return lambda: open_source(table=table, incremental=["changed"])

    @staticmethod
    def _insert(server: MariaDb, table: str, when: str, count: int) -> None:
        for _ in range(count):
            server.run(f"INSERT INTO {table} (changed) SELECT {when} FROM {table}")


class TestQuery(SourceContract):
    """A query whose columns the key is made of, read by the other library; of a text and a number."""

    @pytest.fixture
    def source(self, server: MariaDb, table: str, open_source: Open) -> MySqlSource:
        server.run(f"CREATE TABLE {table} (code VARCHAR(10), part INT, amount DECIMAL(8, 3), PRIMARY KEY (code, part))")
        rows = [[f"Ä{i // 40:03}", i % 40, f"{i}.125"] for i in range(600)]
        server.run(f"INSERT INTO {table} VALUES (%s, %s, %s)", rows=rows)
        query = f"SELECT code, part, amount * 2 AS twice FROM {table} WHERE part < 30"
        return open_source(query=query, key=["code", "part"], incremental=["code"], engine="connector")


def _insert(server: MariaDb, table: str, start: str, count: int, *, step: int) -> None:
    first = server.run(f"{start} {table}")[0][0]
    rows = [[first + step * i, f"new {i}", "2024-03-01"] for i in range(count)]
    server.run(f"INSERT INTO {table} VALUES (%s, %s, %s)", rows=rows)


def test_read_full_every_position_is_another_one(server: MariaDb, table: str, open_source: Open) -> None:
    server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY)", f"INSERT INTO {table} VALUES (1), (2)")
    source = open_source(table=table)
    first = source.position()
    assert first != source.position()
    assert source.position(first) is None
    server.run(f"INSERT INTO {table} VALUES (3)")
    assert [row["id"] for batch in source.read(source.position(first)) for row in batch.rows.to_pylist()] == [3]


@pytest.mark.parametrize("engine", ["connectorx", "connector"])
@pytest.mark.parametrize("rows", [0, 1])
def test_read_hardly_any_rows(server: MariaDb, table: str, open_source: Open, engine: str, rows: int) -> None:
    server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, text TEXT)")
    server.run(f"INSERT INTO {table} VALUES (%s, NULL)", rows=[[i] for i in range(rows)])
    found = all_rows(open_source(table=table, engine=engine))
    assert found.to_pylist() == [{"id": 0, "text": None}] * rows


def test_read_names_of_any_script(server: MariaDb, table: str, open_source: Open) -> None:
    name, column = f"表 {table}`'", 'a `b` "c" 列😀'[:-1]
    quoted = "`" + column.replace("`", "``") + "`"
    server.run(f"CREATE TABLE `{name.replace('`', '``')}` ({quoted} VARCHAR(9) PRIMARY KEY, `select` DATE)")
    server.run(f"INSERT INTO `{name.replace('`', '``')}` VALUES ('é😀', '2024-01-01'), ('b\\\\''', NULL)")
    for engine in ("connectorx", "connector"):
        found = all_rows(open_source(table=name, engine=engine))
        assert found.column(column).to_pylist() == ["b\\'", "é😀"]


def test_read_500_columns(server: MariaDb, table: str, open_source: Open) -> None:
    server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, {', '.join(f'c{i} INT' for i in range(499))})")
    values = ", ".join(str(i) for i in range(499))
    server.run(f"INSERT INTO {table} SELECT seq, {values} FROM seq_1_to_600")
    source = open_source(table=table)
    assert all_rows(source).shape == (600, 500)
    check_resume(source, source.position())


@pytest.mark.parametrize("engine", ["connectorx", "connector"])
def test_read_huge_cells_one_by_one(server: MariaDb, table: str, open_source: Open, engine: str) -> None:
    server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, data LONGBLOB)")
    server.run(f"INSERT INTO {table} SELECT seq, IF(seq IN (3, 5), REPEAT(x'00ff', 8 << 20), 'x') FROM seq_1_to_20")
    source = open_source(table=table, engine=engine)
    sizes = [
        [len(value) for value in batch.rows.column("data").to_pylist()] for batch in source.read(source.position())
    ]
    assert sorted(size for batch in sizes for size in batch) == [1] * 18 + [16 << 20] * 2
    assert max(sum(batch) for batch in sizes) <= (16 << 20) + 20
    assert peak_buffered_bytes(source, source.position()) < 4 * (16 << 20)


def test_read_bounded_memory_and_cancel(server: MariaDb, table: str, open_source: Open) -> None:
    server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, text VARCHAR(200))")
    server.run(f"INSERT INTO {table} SELECT seq, REPEAT('x', 200) FROM seq_1_to_20000")
    source = open_source(table=table)
    assert peak_buffered_bytes(source, source.position()) < 1 << 20  # of 4 MB, in ranges of 256 rows


@pytest.mark.parametrize("engine", ["connectorx", "connector"])
def test_read_that_is_stopped_leaves_no_session(
    server: MariaDb, table: str, open_source: Open, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "IDLE_S", 0.1)
    server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, text VARCHAR(200))")
    server.run(f"INSERT INTO {table} SELECT seq, REPEAT('x', 200) FROM seq_1_to_20000")
    source = open_source(table=table, engine=engine)
    check_cancel(source, source.position())
    until(lambda: server.run("SHOW STATUS LIKE 'Threads_connected'")[0][1] == "1")


@pytest.mark.parametrize("settings", [{}, {"consistency": "snapshot"}, {"key": ["id"]}])
def test_read_table_without_a_key(
    server: MariaDb, table: str, open_source: Open, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    server.run(f"CREATE TABLE {table} (id INT, text TEXT)", f"INSERT INTO {table} SELECT seq, 'x' FROM seq_1_to_1000")
    source = open_source(table=table, **settings)
    batches = list(source.read(source.position()))
    assert sum(batch.rows.num_rows for batch in batches) == 1000
    assert len(batches) >= 4
    if "key" not in settings:
        assert {batch.resume for batch in batches} == {None}
        assert "pure Python" in caplog.text


def test_read_snapshot_sees_one_moment(server: MariaDb, table: str, open_source: Open) -> None:
    server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, value INT)")
    server.run(f"INSERT INTO {table} SELECT seq, 1 FROM seq_1_to_2000")
    source = open_source(table=table, consistency="snapshot")
    reading_rows = source.read(source.position())
    found = [next(reading_rows)]
    server.run(f"UPDATE {table} SET value = 2", f"DELETE FROM {table} WHERE id > 1000")
    found += list(reading_rows)
    assert sum(batch.rows.num_rows for batch in found) == 2000
    assert {value for batch in found for value in batch.rows.column("value").to_pylist()} == {1}


@pytest.mark.parametrize("count", [1, 3, 50])
def test_partitions_cut_a_position(server: MariaDb, table: str, open_source: Open, count: int) -> None:
    server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY)", f"INSERT INTO {table} SELECT seq * 3 FROM seq_1_to_3000")
    server.run(f"ANALYZE TABLE {table}")
    source = open_source(table=table, incremental=["id"])
    position = source.position()
    pieces = source.partitions(position, count)
    assert len(pieces) <= count + 1
    found = [row["id"] for piece in pieces for batch in source.read(piece) for row in batch.rows.to_pylist()]
    assert found == [3 * i for i in range(1, 3001)]
    estimate = source.estimate(position)
    assert estimate is not None
    assert 1000 < estimate < 9000


@pytest.mark.parametrize("engine", ["connectorx", "connector"])
def test_read_four_times_as_much_takes_no_more_memory(
    server: MariaDb, table: str, open_source: Open, engine: str
) -> None:
    server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, text TEXT)")
    server.run(f"INSERT INTO {table} SELECT seq, REPEAT('x', 5000) FROM seq_1_to_16000")
    document = {"type": "mysql", "table": table, "engine": engine}
    grown, read = growth_bytes(
        open_source(table=table)._deps,
        {**document, "where": "id <= 4000"},
        document,
        sizes={"aimass.core.sources.mysql.reading:ROWS_PER_RANGE": 256},
    )
    assert read > 80_000_000
    assert grown < 24 << 20

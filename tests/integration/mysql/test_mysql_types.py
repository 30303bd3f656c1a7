"""Every type of MySQL, the same through both client libraries."""

# ruff: noqa: DTZ001 - a DATETIME has no zone

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from aimass.core.errors import CorruptDataError
from tests.integration.mysql.conftest import Open
from tests.integration.mysql.test_mysql_contract import all_rows
from tests.services.mariadb import MariaDb

pytestmark = [pytest.mark.integration("mysql"), pytest.mark.xdist_group("mysql")]

US = dt.timedelta(microseconds=1)
WKB_POINT = bytes.fromhex("0101000000000000000000f03f0000000000000040")
# Definition, Arrow type, and pairs of SQL literal and value.
TYPES: list[tuple[str, pa.DataType, list[tuple[str, Any]]]] = [
    ("TINYINT", pa.int8(), [("-128", -128), ("127", 127)]),
    ("TINYINT(1)", pa.int8(), [("1", 1), ("0", 0)]),
    ("TINYINT UNSIGNED", pa.uint8(), [("255", 255)]),
    ("SMALLINT", pa.int16(), [("-32768", -32768)]),
    ("SMALLINT UNSIGNED", pa.uint16(), [("65535", 65535)]),
    ("MEDIUMINT", pa.int32(), [("-8388608", -8388608)]),
    ("MEDIUMINT UNSIGNED", pa.uint32(), [("16777215", 16777215)]),
    ("INT", pa.int32(), [("-2147483648", -(2**31))]),
    ("INT UNSIGNED ZEROFILL", pa.uint32(), [("4294967295", 2**32 - 1), ("7", 7)]),
    ("BIGINT", pa.int64(), [("-9223372036854775808", -(2**63))]),
    ("BIGINT UNSIGNED", pa.uint64(), [("18446744073709551615", 2**64 - 1), ("0", 0)]),
    ("DECIMAL(12,2)", pa.decimal128(12, 2), [("-1234567890.12", Decimal("-1234567890.12"))]),
    ("DECIMAL(5,0)", pa.decimal128(5, 0), [("-99999", Decimal(-99999))]),
    ("DECIMAL(20,14)", pa.decimal128(20, 14), [("123456.12345678901234", Decimal("123456.12345678901234"))]),
    ("DECIMAL(38,4)", pa.decimal128(38, 4), [("9" * 34 + ".9999", Decimal("9" * 34 + ".9999"))]),
    ("DECIMAL(65,30)", pa.large_string(), [("-" + "9" * 35 + "." + "1" * 30, "-" + "9" * 35 + "." + "1" * 30)]),
    (
        "FLOAT",
        pa.float32(),
        [("1.1", 1.100000023841858), ("16777217", 16777216.0), ("-3.4e38", -3.3999999521443642e38)],
    ),
    ("DOUBLE", pa.float64(), [("0.1", 0.1), ("1.7976931348623157e308", 1.7976931348623157e308), ("5e-324", 5e-324)]),
    ("BIT(1)", pa.bool_(), [("b'1'", True), ("b'0'", False)]),
    ("BIT(9)", pa.uint64(), [("b'100000001'", 257)]),
    ("BIT(64)", pa.uint64(), [("18446744073709551615", 2**64 - 1)]),
    ("YEAR", pa.int16(), [("2155", 2155), ("1901", 1901), ("0", 0)]),
    ("DATE", pa.date32(), [("'1000-01-01'", dt.date(1000, 1, 1)), ("'9999-12-31'", dt.date(9999, 12, 31))]),
    ("DATETIME", pa.timestamp("us"), [("'2024-02-29 23:59:59'", dt.datetime(2024, 2, 29, 23, 59, 59))]),
    (
        "DATETIME(6)",
        pa.timestamp("us"),
        [
            ("'1000-01-01 00:00:00.000001'", dt.datetime(1000, 1, 1, microsecond=1)),
            ("'9999-12-31 23:59:59.999999'", dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)),
        ],
    ),
    (
        "TIMESTAMP(3) NULL",
        pa.timestamp("us", "UTC"),
        [("'2024-07-01 12:00:00.125'", dt.datetime(2024, 7, 1, 12, 0, 0, 125_000, dt.UTC))],
    ),
    (
        "TIME(6)",
        pa.duration("us"),
        [
            ("'838:59:59.999999'", dt.timedelta(hours=838, minutes=59, seconds=59, microseconds=999_999)),
            ("'-838:59:59.000001'", -dt.timedelta(hours=838, minutes=59, seconds=59, microseconds=1)),
            ("'-00:00:00.5'", -500_000 * US),
        ],
    ),
    ("TIME", pa.duration("us"), [("'25:00:00'", dt.timedelta(hours=25))]),
    ("CHAR(5)", pa.large_string(), [("'ab'", "ab"), ("''", ""), ("'日本😀'", "日本😀")]),
    ("VARCHAR(20) COLLATE utf8mb4_bin", pa.large_string(), [("' x '", " x "), ("'a\\0b\\n'", "a\0b\n")]),
    ("VARCHAR(20) CHARACTER SET latin1", pa.large_string(), [("'é€'", "é€")]),
    ("TEXT", pa.large_string(), [("REPEAT('ü', 30000)", "ü" * 30_000)]),
    ("LONGTEXT CHARACTER SET utf16", pa.large_string(), [("'😀'", "😀")]),
    ("BINARY(4)", pa.large_binary(), [("x'00ff'", b"\x00\xff\0\0")]),
    ("VARBINARY(9)", pa.large_binary(), [("x'c328'", b"\xc3\x28"), ("''", b"")]),
    ("BLOB", pa.large_binary(), [("x'00fffe'", b"\x00\xff\xfe")]),
    ("ENUM('a','ü,x')", pa.large_string(), [("'ü,x'", "ü,x")]),
    ("SET('x','y','z')", pa.large_string(), [("'z,x'", "x,z"), ("''", "")]),
    ("JSON", pa.large_string(), [("""'{"b": 1, "a": [1.50, null, "ü"]}'""", '{"b": 1, "a": [1.50, null, "ü"]}')]),
    ("GEOMETRY", pa.large_binary(), [("ST_GeomFromText('POINT(1 2)')", WKB_POINT)]),
    ("POINT", pa.large_binary(), [("ST_GeomFromText('POINT(1 2)')", WKB_POINT)]),
    ("INET6", pa.large_string(), [("'::1'", "::1")]),
    ("UUID", pa.large_string(), [("'6ccd780c-baba-1026-9564-5b8c656024db'", "6ccd780c-baba-1026-9564-5b8c656024db")]),
]


@pytest.fixture(scope="module")
def typed_table(server: MariaDb) -> str:
    """Return a table with a column of each type; a row of nulls comes first."""
    columns = ", ".join(f"c{i} {definition}" for i, (definition, _, _) in enumerate(TYPES))
    server.run("DROP TABLE IF EXISTS types", f"CREATE TABLE types (id INT PRIMARY KEY, {columns})")
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'")
        cursor.execute("INSERT INTO types (id) VALUES (0)")
        for row in range(max(len(values) for _, _, values in TYPES)):
            given = [(f"c{i}", values[row][0]) for i, (_, _, values) in enumerate(TYPES) if row < len(values)]
            names, literals = zip(*given, strict=True)
            cursor.execute(f"INSERT INTO types (id, {', '.join(names)}) VALUES ({row + 1}, {', '.join(literals)})")
    return "types"


@pytest.mark.parametrize("settings", [{"engine": "connectorx"}, {"engine": "connector"}, {"consistency": "snapshot"}])
def test_types_come_as_they_are(typed_table: str, open_source: Open, settings: dict[str, Any]) -> None:
    found = all_rows(open_source(table=typed_table, **settings))
    for i, (definition, arrow_type, values) in enumerate(TYPES):
        column = found.column(f"c{i}")
        expected = [None, *(value for _, value in values)]
        assert column.type == arrow_type, definition
        if arrow_type == pa.duration("us"):
            expected = [None if value is None else value // US for value in expected]
            column = column.cast(pa.int64())
        assert column.to_pylist()[: len(expected)] == expected, definition


def test_types_both_libraries_give_the_same(typed_table: str, open_source: Open) -> None:
    fast, slow = (all_rows(open_source(table=typed_table, engine=engine)) for engine in ("connectorx", "connector"))
    assert fast.equals(slow)


def test_types_of_a_query(typed_table: str, open_source: Open) -> None:
    table = all_rows(open_source(table=typed_table))
    query = {"query": f"SELECT *, 1 + 1 AS two, NULL AS nothing, 1.5 AS decimal_ FROM {typed_table}", "key": ["id"]}
    with pytest.raises(CorruptDataError, match="fit in precision 38"):
        all_rows(open_source(**query))
    wide = next(f"c{i}" for i, (definition, _, _) in enumerate(TYPES) if definition == "DECIMAL(65,30)")
    columns = [name for name in [*table.column_names, "two", "nothing", "decimal_"] if name != wide]
    engines = ("connectorx", "connector")
    fast, slow = (all_rows(open_source(**query, columns=columns, engine=engine)) for engine in engines)
    assert fast.equals(slow)
    assert fast.column("two").to_pylist()[0] == 2
    assert fast.column("nothing").null_count == fast.num_rows
    for i, (definition, arrow_type, _) in enumerate(TYPES):
        if not pa.types.is_decimal(arrow_type) and not definition.startswith(("BIT", "DECIMAL")):
            assert fast.column(f"c{i}").equals(table.column(f"c{i}")), definition


def test_types_survive_a_dataset(typed_table: str, open_source: Open, tmp_path: Any) -> None:
    import pyarrow.parquet as pq

    found = all_rows(open_source(table=typed_table))
    pq.write_table(found, tmp_path / "types.parquet")
    frame = pl.read_parquet(tmp_path / "types.parquet")
    assert frame.height == found.num_rows
    assert frame.equals(pl.from_arrow(found))


@pytest.mark.parametrize("engine", ["connectorx", "connector"])
def test_zero_dates_as_set(server: MariaDb, table: str, open_source: Open, engine: str) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES'")
        cursor.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, day DATE, at DATETIME, ts TIMESTAMP NULL)")
        cursor.execute(
            f"INSERT INTO {table} VALUES (1, '2024-01-01', '2024-01-01', '2024-01-01'), (2, '0000-00-00', NULL, NULL), "
            "(3, '2024-00-10', '2024-05-00 10:00:00', '0000-00-00'), (4, NULL, NULL, NULL), "
            "(5, NULL, '2024-02-31 01:00:00', NULL), (6, '2024-02-29', NULL, NULL)"
        )
    nulls = all_rows(open_source(table=table, engine=engine, zero_dates="null"))
    assert nulls.column("day").null_count == 4
    assert nulls.num_rows == 6
    source = open_source(table=table, engine=engine)
    kept, aside = next((batch.rows, batch.rejects) for batch in source.read(source.position()) if batch.rejects)
    assert kept.column("id").to_pylist() == [1, 4, 6]
    assert aside.to_pylist()[1] == {
        "where": f"the table {server.database}.{table}, id 3",
        "reason": "a date that is none",
        "raw": "day 2024-00-10; at 2024-05-00 10:00:00; ts 0000-00-00 00:00:00",
    }
    with pytest.raises(CorruptDataError, match="0000-00-00"):
        all_rows(open_source(table=table, engine=engine, zero_dates="error"))


def test_zero_dates_in_some_ranges_only(server: MariaDb, table: str, open_source: Open) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = ''")
        cursor.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, day DATE NOT NULL)")
        bad = "IF(seq IN (30000, 30001, 70000), '0000-00-00', '2024-01-01')"
        cursor.execute(f"INSERT INTO {table} SELECT seq, {bad} FROM seq_1_to_80000")
    source = open_source(table=table, engine="connectorx")
    batches = list(source.read(source.position()))
    kept = [number for batch in batches for number in batch.rows.column("id").to_pylist()]
    assert kept == [number for number in range(1, 80_001) if number not in (30_000, 30_001, 70_000)]
    aside = [place for batch in batches if batch.rejects for place in batch.rejects.column("where").to_pylist()]
    assert [place.rpartition(" ")[2] for place in aside] == ["30000", "30001", "70000"]


def test_read_ranges_of_dense_and_of_sparse_keys(server: MariaDb, table: str, open_source: Open) -> None:
    """Dense keys are cut by number; behind a gap that the server's statistics do not expect, by rows."""
    server.run(f"CREATE TABLE {table} (id BIGINT PRIMARY KEY)", f"INSERT INTO {table} SELECT seq FROM seq_1_to_60000")
    for more in (f"INSERT INTO {table} SELECT seq + 10000000000 FROM seq_1_to_20000", f"ANALYZE TABLE {table}"):
        source = open_source(table=table)
        found = all_rows(source).column("id").to_pylist()
        assert found == sorted(number for (number,) in server.run(f"SELECT id FROM {table}"))
        server.run(more)
    assert all_rows(open_source(table=table)).num_rows == 80_000

"""What goes wrong with a MySQL server: one clear error, and no secret in it."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any, cast

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.errors import (
    AimassError,
    ConfigError,
    DataError,
    NotAllowedError,
    NotFoundError,
    SchemaMismatchError,
    TransientError,
    UnreachableError,
)
from aimass.core.sources.base import SourceBatch
from aimass.core.sources.mysql import reading
from aimass.core.sources.mysql.connection import MySqlConnection
from aimass.core.sources.mysql.engines import ConnectorxEngine
from aimass.core.sources.mysql.sessions import session
from aimass.core.stages.ingest import IngestConfig, run
from tests.integration.mysql.conftest import Open
from tests.integration.mysql.test_mysql_contract import all_rows
from tests.services.certificates import write_certificates
from tests.services.mariadb import MariaDb, mariadb_server
from tests.services.proxy import proxy
from tests.services.server import free_port

pytestmark = [pytest.mark.integration("mysql"), pytest.mark.xdist_group("mysql")]


@pytest.fixture(scope="module")
def flights(server: MariaDb) -> str:
    server.run("DROP TABLE IF EXISTS flights", "CREATE TABLE flights (id INT PRIMARY KEY, carrier TEXT)")
    server.run("INSERT INTO flights SELECT seq, REPEAT('x', 200) FROM seq_1_to_20000")
    return "flights"


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"table": "flihgts"}, NotFoundError, "Did you mean 'flights'"),
        ({"table": "aimass_tset.flights"}, NotFoundError, "Did you mean 'aimass_test'"),
        ({"table": "flights", "columns": ["id", "carier"]}, SchemaMismatchError, "Did you mean 'carrier'"),
        ({"table": "flights", "where": "ids > 3"}, SchemaMismatchError, "ids"),
        ({"table": "flights", "where": "id >"}, ConfigError, "syntax"),
        ({"query": "SELEC 1"}, ConfigError, "syntax"),
        ({"query": "SELECT * FROM nowhere"}, NotFoundError, "nowhere"),
        ({"table": "flights", "incremental": ["carrier"]}, ConfigError, "cannot be part of a key"),
    ],
)
def test_wrong_settings_are_told(
    flights: str, open_source: Open, settings: dict[str, Any], error: type[AimassError], said: str
) -> None:
    with pytest.raises(error, match=said):
        open_source(**settings).position()


def test_wrong_password_is_refused(
    server: MariaDb, flights: str, open_source: Open, caplog: pytest.LogCaptureFixture
) -> None:
    source = open_source(table=flights, connection=server.connection(password="hunter2-wrong"))
    with pytest.raises(NotAllowedError) as caught, caplog.at_level(logging.DEBUG):
        source.position()
    assert "hunter2" not in f"{caught.value} {caught.value.details} {caplog.text}"


def test_looking_for_new_rows_says_nothing(flights: str, open_source: Open, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        open_source(table=flights).position()
    assert caplog.text == ""


def test_wrong_host_is_unreachable(server: MariaDb, flights: str, open_source: Open) -> None:
    for change in ({"port": free_port()}, {"host": "nowhere.invalid"}):
        with pytest.raises(UnreachableError):
            open_source(table=flights, connection=server.connection(**change)).position()


def test_no_right_to_read_is_told(server: MariaDb, flights: str, open_source: Open) -> None:
    server.run("CREATE OR REPLACE USER reader@'%' IDENTIFIED BY 'r'", f"GRANT SELECT (id) ON {flights} TO reader@'%'")
    reader = server.connection(user="reader", password="r")
    assert all_rows(open_source(table=flights, columns=["id"], connection=reader)).num_rows == 20_000
    with pytest.raises(NotAllowedError, match="flights"):
        all_rows(open_source(query=f"SELECT * FROM {flights}", connection=reader))
    with pytest.raises(SchemaMismatchError, match="carrier"):
        all_rows(open_source(table=flights, columns=["carrier"], connection=reader))


@pytest.mark.parametrize("engine", ["connectorx", "connector"])
def test_connection_cut_while_reading_goes_on_later(
    server: MariaDb, flights: str, open_source: Open, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ROWS_PER_RANGE", 2_000)
    with proxy(server.host, server.port) as between:
        source = open_source(table=flights, engine=engine, connection=server.connection(port=between.port))
        position, batches = source.position(), list[SourceBatch]()
        between.cut_after(1_000_000)
        with pytest.raises(TransientError):
            batches.extend(source.read(position))
        assert 0 < sum(batch.rows.num_rows for batch in batches) < 20_000
        batches.extend(source.read(position, batches[-1].resume))
        assert sum(batch.rows.num_rows for batch in batches) == 20_000


def test_cut_session_leaves_no_socket_open(server: MariaDb, flights: str) -> None:
    with proxy(server.host, server.port) as between:
        connection = MySqlConnection.model_validate(server.connection(port=between.port))
        with session(connection) as opened:
            socket = cast("Any", opened)._socket.sock
            opened.cmd_query(f"SELECT * FROM {flights}")
            between.cut()
            # A socket is not shut down again once the other end has said that it is gone.
            with contextlib.suppress(OSError):
                while True:
                    socket.send(b"?")
        assert socket.fileno() == -1


def test_server_that_sends_nothing_is_not_waited_for(server: MariaDb, flights: str, open_source: Open) -> None:
    slow = server.connection(read_timeout_s=1, connect_timeout_s=1)
    for engine in ("connectorx", "connector"):
        source = open_source(table=flights, where="id <> 5 OR SLEEP(5) = 0", engine=engine, connection=slow)
        with pytest.raises(UnreachableError):
            list(source.read({"mark": {"to": [20_000]}}))


def test_killed_server_comes_back(tmp_path: Path, open_source: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROWS_PER_RANGE", 256)
    with mariadb_server(tmp_path / "own") as server:
        if server.folder is None:
            pytest.skip("the server is not the test's own")
        server.run("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t SELECT seq FROM seq_1_to_2000")
        source = open_source(table="t", connection=server.connection(), engine="connector")
        position = source.position()
        rows = source.read(position)
        first = next(rows)
        server.kill()
        with pytest.raises(UnreachableError):
            list(rows)
        server.start()
        assert first.rows.num_rows + sum(b.rows.num_rows for b in source.read(position, first.resume)) == 2_000


def test_tls_is_verified(tmp_path: Path, open_source: Open) -> None:
    good, other = write_certificates(tmp_path / "good"), write_certificates(tmp_path / "other")
    with mariadb_server(tmp_path / "own", certificates=good) as server:
        server.run("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
        server.run(
            f"ALTER USER {server.user}@'127.0.0.1' REQUIRE SSL", f"ALTER USER {server.user}@localhost REQUIRE SSL"
        )
        trusted = server.connection(tls="verified", tls_ca=str(good.ca))
        for engine in ("connectorx", "connector"):
            assert all_rows(open_source(table="t", engine=engine, connection=trusted)).num_rows == 1
        for wrong in ({"tls_ca": str(other.ca)}, {"tls_ca": ""}, {"host": "localhost"}):
            with pytest.raises(ConfigError, match="cannot be trusted"):
                open_source(table="t", connection={**trusted, **wrong}).position()
        pinned = {"mark": {"to": [1]}}
        for wrong in ({"tls_ca": str(other.ca)}, {"host": "localhost"}):
            impatient = {**trusted, **wrong, "connect_timeout_s": 1, "read_timeout_s": 1}
            with pytest.raises(ConfigError, match="cannot be trusted"):
                list(open_source(table="t", engine="connectorx", connection=impatient).read(pinned))
            # As a session of ours goes first, connectorx meets such a server only where it changes meanwhile.
            with pytest.raises(ConfigError, match="cannot be trusted"):
                ConnectorxEngine(MySqlConnection.model_validate(impatient)).fetch("SELECT 1")
        with pytest.raises(NotAllowedError):
            open_source(table="t", connection=server.connection()).position()


def test_tls_without_a_server_that_has_it_is_refused(server: MariaDb, flights: str, open_source: Open) -> None:
    with pytest.raises(AimassError, match=r"TLS|SSL"):
        open_source(table=flights, connection=server.connection(tls="verified")).position()


def test_incremental_what_hides_rows_is_told(server: MariaDb, table: str, open_source: Open) -> None:
    server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, at DATETIME, INDEX (at))")
    server.run(f"INSERT INTO {table} VALUES (1, '2024-01-01'), (2, NULL)")
    with pytest.raises(DataError, match="no value in at"):
        open_source(table=table, incremental=["at"]).position()
    server.run(f"UPDATE {table} SET at = '2124-01-01' WHERE id = 2")
    with pytest.raises(DataError, match="clock"):
        open_source(table=table, incremental=["at"]).position()
    by_id = open_source(table=table, incremental=["id"])
    position = by_id.position()
    server.run(f"TRUNCATE {table}", f"INSERT INTO {table} VALUES (1, NULL)")
    with pytest.raises(DataError, match="is gone"):
        by_id.position(position)
    assert open_source(table=table, incremental=["id"], on_shrink="ignore").position(position) is None


def test_ingest_changed_columns_are_an_error_until_accepted(
    server: MariaDb, table: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, value INT)", f"INSERT INTO {table} VALUES (1, 1), (2, 2)")
    runtime = Runtime(store=str(tmp_path / "store"), connections={"aimass_mysql": server.connection()})
    source = {"type": "mysql", "table": table, "incremental": ["id"]}

    def ingest(run_id: str, **more: str) -> Any:
        config = IngestConfig(name="t", source=source, mode="incremental", **more)
        return run(config, Deps.from_runtime(runtime.model_copy(update={"run_id": run_id})))

    with caplog.at_level(logging.DEBUG):
        assert ingest("1").rows == 2
        server.run(f"ALTER TABLE {table} ADD note TEXT", f"INSERT INTO {table} VALUES (3, 3, 'x')")
        with pytest.raises(SchemaMismatchError, match="note"):
            ingest("2")
        assert ingest("2", on_added_column="accept").rows == 3
    written = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*.json"))
    assert server.password.encode() not in written
    assert server.password not in caplog.text

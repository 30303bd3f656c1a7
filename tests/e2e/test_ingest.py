"""Data in, as a user gets it: connections and forms over REST, reads in several tasks, runs that new data starts.

One Airflow for all. What is read is checked row by row against what was written into the real server.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from demo.startup import wait_for_dag
from tests.crash.killing import order_kill
from tests.e2e.ingesting import ROWS, RUN_TIMEOUT_S, Ingest, running_ingest, until
from tests.services.hadoop import hdfs_server
from tests.services.kafka import Kafka, kafka_server
from tests.services.mariadb import MariaDb, mariadb_server
from tests.services.mongodb import mongodb_server
from tests.services.seaweedfs import seaweedfs

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(420)]
MORE = [{"id": number, "city": "Lima", "price": 0.5} for number in range(41, 44)]
DAGS = Path(__file__).with_name("ingest_dags.py")
FOLLOWED = """
name: followed
description: Runs with each batch of orders. What follows the reading is of no account here, so `where` ends it.
schedule: "@new_data"
sources:
  orders: {type: mysql, table: followed, incremental: [id]}
ingest: {mode: incremental}
where: id < 0
target: {name: price}
"""
WRONG = "not-the-right-one"


@pytest.fixture(scope="module")
def ingest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    with running_ingest(tmp_path_factory.mktemp("ingest"), DAGS, pipelines={"followed": FOLLOWED}) as started:
        yield started


@pytest.fixture(scope="module")
def mysql(ingest: Ingest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A server with the rows, and Airflow's connection to it."""
    with mariadb_server(tmp_path_factory.mktemp("mysql")) as server:
        ingest.airflow.connect("aimass_mysql", "aimass_mysql", **who(server), extra='{"tls": "off"}')
        yield server


def who(server: MariaDb) -> dict[str, Any]:
    """Return the fields of a connection to `server`."""
    found = {"host": server.host, "port": server.port, "login": server.user, "password": server.password}
    return {**found, "schema": server.database}


def insert(server: MariaDb, table: str, rows: list[dict[str, Any]]) -> None:
    """Write rows into a table, which is made where there is none."""
    create = f"CREATE TABLE IF NOT EXISTS {table} (id INT PRIMARY KEY, city VARCHAR(40), price DOUBLE)"
    server.run(create, f"INSERT INTO {table} VALUES (%s, %s, %s)", rows=[[*row.values()] for row in rows])


@pytest.fixture(scope="module")
def kafka(ingest: Ingest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker, and Airflow's connection to it."""
    with kafka_server(tmp_path_factory.mktemp("kafka")) as server:
        ingest.airflow.connect("aimass_kafka", "aimass_kafka", host=server.address)
        yield server


def write(server: Kafka, topic: str, rows: list[dict[str, Any]]) -> None:
    """Write rows into a topic of two partitions, which is made where there is none."""
    if topic not in server.admin().list_topics(timeout=20).topics:
        server.create(topic, partitions=2)
    for partition in range(2):
        values = [json.dumps(row).encode() for row in rows if row["id"] % 2 == partition]
        server.write(topic, values, partition=partition)


def test_mysql(ingest: Ingest, mysql: MariaDb) -> None:
    insert(mysql, "orders", ROWS)
    chained = {"table": "orders", "mode": "incremental", "incremental": ["id"], "secret": mysql.password}
    assert ingest.rows(ingest.by_form("mysql", **chained)) == ROWS
    insert(mysql, "orders", MORE)
    result = ingest.by_form("mysql", **chained)
    assert (result["earlier_rows"], result["link"]) == (len(ROWS), 1)
    assert ingest.rows(result) == ROWS + MORE
    # The official provider's type, its own id, and a form that may not name it.
    ingest.airflow.connect("shop", "mysql", **who(mysql))
    assert "allowed_connections" in ingest.airflow.refusal(
        "aimass_ingest_mysql", {"name": "orders", "table": "orders", "conn_id": "shop"}
    )
    told = ingest.airflow.refusal("aimass_ingest_mysql", {"name": "orders", "table": "order"})
    assert "orders" in told
    assert mysql.password not in told


def test_the_button_test_of_a_connection(ingest: Ingest, mysql: MariaDb) -> None:
    form = {**who(mysql), "extra": '{"tls": "off", "connect_timeout_s": 5}'}
    is_well, told = ingest.airflow.try_connection("aimass_mysql", **form)
    assert is_well, told
    assert f"{mysql.host}:{mysql.port} answered" in told
    is_well, told = ingest.airflow.try_connection("aimass_mysql", **{**form, "password": WRONG})
    assert not is_well
    assert f"refuses the user {mysql.user!r}" in told
    assert WRONG not in told


@pytest.mark.parametrize("conn_type", ["aimass_mysql", "mysql"])
def test_the_command_line_looks_at_a_source(ingest: Ingest, mysql: MariaDb, conn_type: str) -> None:
    table, conn_id = f"seen_by_{conn_type}", f"looking_by_{conn_type}"
    insert(mysql, table, ROWS)
    extra = {"extra": '{"tls": "off"}'} if conn_type == "aimass_mysql" else {}
    ingest.airflow.connect(conn_id, conn_type, **who(mysql), **extra)
    words = ["aimass", "source", "sample", conn_id, f"table={table}", "--rows", "2", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *words], env=ingest.home.environment(), capture_output=True, text=True,
        timeout=RUN_TIMEOUT_S, check=True,
    )  # fmt: skip
    (found,) = json.loads(done.stdout)
    assert found["rows"] == ROWS[:2]
    assert [column["name"] for column in found["columns"]] == ["id", "city", "price"]
    assert mysql.password not in done.stdout + done.stderr


def test_a_piece_that_died_is_read_anew_and_nothing_twice(ingest: Ingest) -> None:
    airflow, lake = ingest.airflow, ingest.home.folder.parent / "lake"
    for number in range(4):
        pl.DataFrame(ROWS[number * 10 : number * 10 + 10]).write_csv(lake / f"{number}.csv")
    order_kill(ingest.home.folder.parent / "kills", task="read", point="part_staged 1")
    run_id = airflow.trigger("pieces", {})
    ingest.finish("pieces", run_id, state="failed")
    dead = [task for task in airflow.tasks("pieces", run_id) if (task["task_id"], task["state"]) == ("read", "failed")]
    assert len(dead) == 1
    assert airflow.result("pieces", run_id, "orders") is None
    # What comes while the run stands still is not the run's.
    pl.DataFrame(MORE).write_csv(lake / "4.csv")
    airflow.clear("pieces", run_id, ("read", dead[0]["map_index"]))
    ingest.finish("pieces", run_id)
    first = airflow.result("pieces", run_id, "orders")
    assert ingest.rows(first) == ROWS
    tries = {
        task["map_index"]: task["try_number"] for task in airflow.tasks("pieces", run_id) if task["task_id"] == "read"
    }
    assert tries == {index: 1 + (index == dead[0]["map_index"]) for index in range(4)}
    ingest.finish("pieces", run_id := airflow.trigger("pieces", {}))
    second = airflow.result("pieces", run_id, "orders")
    assert ingest.rows(second) == ROWS + MORE
    told = ingest.told("aimass://pieces/orders")
    assert [(event["link"], event["rows"], event["new_rows"]) for event in told] == [(0, 40, 40), (1, 43, 3)]
    assert "4.csv" in json.dumps(told[1]["position"])


def test_new_data_starts_a_run_and_nothing_else_does(ingest: Ingest, mysql: MariaDb) -> None:
    wait_for_dag(ingest.airflow, "aimass_followed")
    assert not ingest.runs("aimass_followed")
    for number, batch in enumerate((ROWS, MORE)):
        insert(mysql, "followed", batch)
        run_id = ingest.begun("aimass_followed", number)
        ingest.finish("aimass_followed", run_id, state="failed")
        result = ingest.airflow.result("aimass_followed", run_id, "ingest", 0)
        assert (result["link"], result["rows"] - result["earlier_rows"]) == (number, len(batch))
        assert ingest.rows(result) == (ROWS + MORE)[: result["rows"]]
    assert [run["run_type"] for run in ingest.runs("aimass_followed")] == ["asset_triggered"] * 2
    told = ingest.told("aimass://followed/new/orders")
    assert [event["payload"]["number"] for event in told] == [0, 1]
    assert mysql.password not in json.dumps(told)


def test_a_task_waits_for_new_data_in_the_triggerer(ingest: Ingest, mysql: MariaDb) -> None:
    def waits() -> bool:
        return "deferred" in {task["state"] for task in ingest.airflow.tasks("awaited", run_id)}

    run_id = ingest.airflow.trigger("awaited", {})
    until(waits, "the waiting")
    insert(mysql, "awaited", ROWS)
    ingest.finish("awaited", run_id)
    assert ingest.airflow.result("awaited", run_id, "arrived")["number"] == 0
    assert ingest.rows(ingest.airflow.result("awaited", run_id, "orders")) == ROWS
    # Neither a task's log nor that of the triggerer, or of any other program.
    assert not [path for path in ingest.home.logs.rglob("*.log") if mysql.password in path.read_text()]


def test_mongodb(ingest: Ingest, tmp_path: Path) -> None:
    with mongodb_server(tmp_path) as server, server.admin() as client:
        documents = client[server.database]["orders"]
        documents.insert_many([dict(row) for row in ROWS])
        fields = server.connection()
        form = {
            **{"host": fields["host"], "port": fields["port"], "login": fields["user"], "schema": fields["database"]},
            **{"password": fields["password"], "extra": json.dumps({"auth_source": "admin"})},
        }
        ingest.airflow.connect("aimass_mongodb", "aimass_mongodb", **form)
        assert ingest.airflow.try_connection("aimass_mongodb", **form)[0]
        is_well, told = ingest.airflow.try_connection("aimass_mongodb", **{**form, "password": WRONG})
        assert not is_well
        assert "user" in told
        assert WRONG not in told
        dear = ingest.by_form("mongodb", collection="orders", filter={"price": {"$gte": 5}}, secret=fields["password"])
        assert ingest.rows(dear) == [row for row in ROWS if row["price"] >= 5]
        chained = {"collection": "orders", "mode": "incremental", "name": "growing"}
        assert "cursor" in ingest.airflow.refusal("aimass_ingest_mongodb", chained)
        chained["cursor"] = "_id"
        assert ingest.rows(ingest.by_form("mongodb", **chained)) == ROWS
        documents.insert_many([dict(row) for row in MORE])
        assert ingest.rows(ingest.by_form("mongodb", **chained)) == ROWS + MORE


def test_kafka(ingest: Ingest, kafka: Kafka) -> None:
    write(kafka, "orders", ROWS)
    assert ingest.airflow.try_connection("aimass_kafka", host=kafka.address)[0]
    chained = {"topics": ["orders"], "mode": "incremental"}
    assert ingest.rows(ingest.by_form("kafka", **chained)) == ROWS
    write(kafka, "orders", MORE)
    assert ingest.rows(ingest.by_form("kafka", **chained)) == ROWS + MORE
    assert "orders" in ingest.airflow.refusal("aimass_ingest_kafka", {"name": "orders", "topics": ["order"]})
    stolen = {"name": "orders", "topics": ["orders"], "format": "avro", "options": {"value_schema_file": "/etc/passwd"}}
    assert "allowed_roots" in ingest.airflow.refusal("aimass_ingest_kafka", stolen)


def test_messages_are_read_in_several_tasks(ingest: Ingest, kafka: Kafka) -> None:
    for new, pieces in ((ROWS, 2), (MORE, 2), ([], 0)):
        write(kafka, "pieces", new)
        run_id = ingest.airflow.trigger("messages", {})
        ingest.finish("messages", run_id)
        states = [task["state"] for task in ingest.airflow.tasks("messages", run_id) if task["task_id"] == "read"]
        assert states.count("success") == pieces, states
        result = ingest.airflow.result("messages", run_id, "orders")
        assert ingest.rows(result) == (ROWS + MORE)[: result["rows"]]
    assert [(event["link"], event["new_rows"]) for event in ingest.told("aimass://messages/orders")][:2] == [
        (0, len(ROWS)), (1, len(MORE))
    ]  # fmt: skip


def test_messages_start_a_run(ingest: Ingest, kafka: Kafka) -> None:
    for number, batch in enumerate((ROWS, MORE)):
        write(kafka, "followed", batch)
        run_id = ingest.begun("listening", number)
        ingest.finish("listening", run_id)
        result = ingest.airflow.result("listening", run_id, "orders")
        assert (result["link"], result["rows"] - result["earlier_rows"]) == (number, len(batch))
        assert ingest.rows(result) == (ROWS + MORE)[: result["rows"]]
    assert len(ingest.runs("listening")) == 2


def test_hdfs(ingest: Ingest, tmp_path: Path) -> None:
    with hdfs_server(tmp_path) as server:
        server.put("/lake/orders/1.csv", pl.DataFrame(ROWS).write_csv().encode())
        fields = server.connection()
        form = {"host": fields["host"], "port": fields["port"], "login": fields["user"]}
        ingest.airflow.connect("aimass_hdfs", "aimass_hdfs", **form)
        assert ingest.airflow.try_connection("aimass_hdfs", **form)[0]
        chained = {"path": "/lake/orders/*.csv", "mode": "incremental"}
        assert ingest.rows(ingest.by_form("hdfs", **chained)) == ROWS
        server.put("/lake/orders/2.csv", pl.DataFrame(MORE).write_csv().encode())
        assert ingest.rows(ingest.by_form("hdfs", **chained)) == ROWS + MORE


def test_obs(ingest: Ingest, tmp_path: Path) -> None:
    with seaweedfs(tmp_path) as server:
        bucket = server.bucket("lake")
        bucket.put("orders/1.csv", pl.DataFrame(ROWS).write_csv().encode())
        fields = server.connection()
        form = {
            **{"host": fields["endpoint"], "login": fields["access_key_id"], "password": fields["secret_access_key"]},
            "extra": json.dumps({name: fields[name] for name in ("protocol", "addressing")}),
        }
        ingest.airflow.connect("aimass_obs", "aimass_obs", **form)
        assert ingest.airflow.try_connection("aimass_obs", **form)[0]
        is_well, told = ingest.airflow.try_connection("aimass_obs", **{**form, "password": WRONG})
        assert not is_well
        assert "key" in told
        assert WRONG not in told
        chained = {"uri": "obs://lake/orders/*.csv", "mode": "incremental", "secret": fields["secret_access_key"]}
        assert ingest.rows(ingest.by_form("obs", **chained)) == ROWS
        bucket.put("orders/2.csv", pl.DataFrame(MORE).write_csv().encode())
        assert ingest.rows(ingest.by_form("obs", **chained)) == ROWS + MORE
        told = ingest.airflow.refusal("aimass_ingest_obs", {"name": "orders", "uri": "file:///etc/passwd"})
        assert "obs://" in told


def test_files(ingest: Ingest) -> None:
    uploads = ingest.home.store / "uploads"
    uploads.mkdir(parents=True)
    (uploads / "orders.csv").write_text(pl.DataFrame(ROWS).write_csv())
    assert ingest.rows(ingest.by_form("files", uri=str(uploads / "orders.csv"))) == ROWS
    assert "did you mean" in ingest.airflow.refusal("aimass_ingest_files", {"name": "orders", "ur": "x"})


def test_a_server_that_is_silent_is_no_reason_to_refuse_the_trigger(ingest: Ingest) -> None:
    assert "connection 'aimass_nowhere'" in ingest.airflow.refusal(
        "aimass_ingest_hdfs", {"name": "orders", "path": "/x", "conn_id": "aimass_nowhere"}
    )

"""Data in, as a user gets it: connections and forms over REST, reads in several tasks, runs that new data starts.

One Airflow for all. What is read is checked row by row against what was written into the real server.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import polars as pl
import pytest

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps, Runtime
from demo.home import Home
from demo.startup import wait_for_dag
from tests.crash.killing import KILL_FOLDER, order_kill
from tests.services.airflow import RestAirflow, running_airflow
from tests.services.hadoop import hdfs_server
from tests.services.kafka import kafka_server
from tests.services.mariadb import MariaDb, mariadb_server
from tests.services.mongodb import mongodb_server
from tests.services.seaweedfs import seaweedfs

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(420)]
ROOT = Path(__file__).resolve().parents[2]
ROWS = [{"id": number, "city": ("北京", "Köln", "Oslo")[number % 3], "price": number / 4} for number in range(1, 41)]
MORE = [{"id": number, "city": "Lima", "price": 0.5} for number in range(41, 44)]
RUN_TIMEOUT_S = 120
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
T = TypeVar("T")


class Ingest(NamedTuple):
    """A running Airflow that reads data, and its folder."""

    airflow: RestAirflow
    home: Home

    def by_form(self, kind: str, *, secret: str = "", **form: Any) -> dict[str, Any]:
        """Trigger a form over REST, wait for its run, and return the task's result; no log may hold `secret`."""
        dag_id = f"aimass_ingest_{kind}"
        run_id = self.airflow.trigger(dag_id, {"name": "orders", **form})
        self.finish(dag_id, run_id)
        assert not secret or secret not in self.logs(), "a secret is in the log"
        found: dict[str, Any] = self.airflow.result(dag_id, run_id, "ingest")
        return found

    def finish(self, dag_id: str, run_id: str, *, state: str = "success") -> None:
        """Wait until the run has ended, in `state`."""
        ended = until(lambda: self._ended(dag_id, run_id), f"the end of {dag_id}")
        assert ended == state, self.logs()[-4000:]

    def _ended(self, dag_id: str, run_id: str) -> str | None:
        state = str(self.airflow.run(dag_id, run_id)["state"])
        return state if state in ("success", "failed") else None

    def logs(self) -> str:
        """Return what all tasks have logged."""
        return "\n".join(path.read_text() for path in self.home.task_logs.rglob("*.log"))

    def rows(self, result: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of a dataset."""
        deps = Deps.from_runtime(Runtime(store=self.home.store.as_uri()))
        frame = open_dataset(result["uri"], deps).read(columns=["id", "city", "price"])
        return frame.sort("id").to_dicts()

    def told(self, asset: str) -> list[dict[str, Any]]:
        """Return what the events of the asset with that URI tell, first one first."""
        events = self.airflow.get("assets", "events", uri_pattern=asset, order_by="timestamp")["asset_events"]
        return [event["extra"] for event in events if event["uri"] == asset]


def until(found: Callable[[], T | None], what: str) -> T:
    """Return what `found` returns, once that is something."""
    deadline = time.monotonic() + RUN_TIMEOUT_S
    while True:
        # On a busy machine one write to SQLite holds all requests up for longer than a client waits.
        with contextlib.suppress(TimeoutError):
            if seen := found():
                return seen
        assert time.monotonic() < deadline, f"{what} did not come within {RUN_TIMEOUT_S} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def ingest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    folder = tmp_path_factory.mktemp("ingest")
    for name in ("dags", "lake", "include/pipelines"):
        (folder / name).mkdir(parents=True)
    for file in (ROOT / "dags" / "aimass_ingest.py", ROOT / "dags" / "aimass_pipelines.py", DAGS):
        shutil.copy(file, folder / "dags")
    (folder / "include" / "pipelines" / "followed.yaml").write_text(FOLLOWED)
    variables = {
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__AIMASS__NEW_DATA_POLL_S": "1",
        "AIRFLOW__AIMASS__FAILPOINTS": "tests.crash.killing:FileFailpoints",
        KILL_FOLDER: str(folder / "kills"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    with running_airflow(folder / "airflow", folder / "dags", more=("triggerer",), variables=variables) as (
        airflow,
        home,
    ):
        wait_for_dag(airflow, "aimass_ingest_files")
        yield Ingest(airflow, home)


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


def test_the_command_line_looks_at_a_source(ingest: Ingest, mysql: MariaDb) -> None:
    insert(mysql, "seen", ROWS)
    words = ["aimass", "source", "sample", "aimass_mysql", "table=seen", "--rows", "2", "--json"]
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
    def runs() -> list[dict[str, Any]]:
        page = ingest.airflow.get("dags", "aimass_followed", "dagRuns", order_by="run_after")
        return list(page["dag_runs"])

    wait_for_dag(ingest.airflow, "aimass_followed")
    assert not runs()
    for number, batch in enumerate((ROWS, MORE)):
        insert(mysql, "followed", batch)
        run_id = until(lambda: runs()[number:], f"run {number} of the pipeline")[0]["dag_run_id"]  # noqa: B023 - at once
        ingest.finish("aimass_followed", run_id, state="failed")
        result = ingest.airflow.result("aimass_followed", run_id, "ingest", 0)
        assert (result["link"], result["rows"] - result["earlier_rows"]) == (number, len(batch))
        assert ingest.rows(result) == (ROWS + MORE)[: result["rows"]]
    assert [run["run_type"] for run in runs()] == ["asset_triggered"] * 2
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


def test_kafka(ingest: Ingest, tmp_path: Path) -> None:
    with kafka_server(tmp_path) as server:
        server.create("orders", partitions=2)
        for row in ROWS:
            server.write("orders", [json.dumps(row).encode()], partition=row["id"] % 2)
        ingest.airflow.connect("aimass_kafka", "aimass_kafka", host=server.address)
        assert ingest.airflow.try_connection("aimass_kafka", host=server.address)[0]
        chained = {"topics": ["orders"], "mode": "incremental"}
        assert ingest.rows(ingest.by_form("kafka", **chained)) == ROWS
        server.write("orders", [json.dumps(row).encode() for row in MORE])
        assert ingest.rows(ingest.by_form("kafka", **chained)) == ROWS + MORE
        assert "orders" in ingest.airflow.refusal("aimass_ingest_kafka", {"name": "orders", "topics": ["order"]})
        stolen = {"name": "orders", "topics": ["orders"], "options": {"value_schema_file": "/etc/passwd"}}
        assert "allowed_roots" in ingest.airflow.refusal("aimass_ingest_kafka", stolen)


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

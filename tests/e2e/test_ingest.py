"""Data from each kind of server, as a user gets it: a connection made over REST, the form triggered over REST.

One Airflow for all. What is read is checked row by row against what was written into the real server.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps, Runtime
from demo.home import Home
from demo.startup import wait_for_dag
from tests.services.airflow import RestAirflow, running_airflow
from tests.services.hadoop import hdfs_server
from tests.services.kafka import kafka_server
from tests.services.mariadb import mariadb_server
from tests.services.mongodb import mongodb_server
from tests.services.seaweedfs import seaweedfs

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(420)]
ROOT = Path(__file__).resolve().parents[2]
ROWS = [{"id": number, "city": ("北京", "Köln", "Oslo")[number % 3], "price": number / 4} for number in range(1, 41)]
MORE = [{"id": number, "city": "Lima", "price": 0.5} for number in range(41, 44)]
RUN_TIMEOUT_S = 120


class Forms(NamedTuple):
    """The forms of a running Airflow."""

    airflow: RestAirflow
    home: Home

    def ingest(self, kind: str, *, secret: str = "", **form: Any) -> dict[str, Any]:
        """Trigger a form over REST, wait for its run, and return the task's result; no log may hold `secret`."""
        dag_id = f"aimass_ingest_{kind}"
        run_id = self.airflow.trigger(dag_id, {"name": "orders", **form})
        deadline = time.monotonic() + RUN_TIMEOUT_S
        while (state := self._state(dag_id, run_id)) not in ("success", "failed"):
            assert time.monotonic() < deadline, f"{dag_id} is {state} after {RUN_TIMEOUT_S} s"
            time.sleep(0.2)
        logs = "\n".join(path.read_text() for path in self.home.task_logs.rglob("*.log"))
        assert state == "success", logs[-4000:]
        assert not secret or secret not in logs, "a secret is in the log"
        found: dict[str, Any] = self.airflow.result(dag_id, run_id, "ingest")
        return found

    def _state(self, dag_id: str, run_id: str) -> str:
        # On a busy machine one write to SQLite holds all requests up for longer than a client waits.
        with contextlib.suppress(TimeoutError):
            return str(self.airflow.run(dag_id, run_id)["state"])
        return "unknown"

    def rows(self, result: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of a dataset."""
        deps = Deps.from_runtime(Runtime(store=self.home.store.as_uri()))
        frame = open_dataset(result["uri"], deps).read(columns=["id", "city", "price"])
        return frame.sort("id").to_dicts()


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forms]:
    folder = tmp_path_factory.mktemp("ingest")
    (folder / "dags").mkdir()
    shutil.copy(ROOT / "dags" / "aimass_ingest.py", folder / "dags")
    with running_airflow(folder / "airflow", folder / "dags") as (airflow, home):
        wait_for_dag(airflow, "aimass_ingest_files")
        yield Forms(airflow, home)


def test_mysql(forms: Forms, tmp_path: Path) -> None:
    with mariadb_server(tmp_path) as server:
        insert = "INSERT INTO orders VALUES (%s, %s, %s)"
        create = "CREATE TABLE orders (id INT PRIMARY KEY, city VARCHAR(40), price DOUBLE)"
        server.run(create, insert, rows=[[*row.values()] for row in ROWS])
        who = {"host": server.host, "port": server.port, "login": server.user, "password": server.password}
        forms.airflow.connect("aimass_mysql", "aimass_mysql", **who, schema=server.database, extra='{"tls": "off"}')
        chained = {"table": "orders", "mode": "incremental", "incremental": ["id"], "secret": server.password}
        assert forms.rows(forms.ingest("mysql", **chained)) == ROWS
        server.run(insert, rows=[[*row.values()] for row in MORE])
        result = forms.ingest("mysql", **chained)
        assert (result["earlier_rows"], result["link"]) == (len(ROWS), 1)
        assert forms.rows(result) == ROWS + MORE
        # The official provider's type, its own id, and a form that may not name it.
        forms.airflow.connect("shop", "mysql", **who, schema=server.database)
        assert "allowed_connections" in forms.airflow.refusal(
            "aimass_ingest_mysql", {"name": "orders", "table": "orders", "conn_id": "shop"}
        )
        told = forms.airflow.refusal("aimass_ingest_mysql", {"name": "orders", "table": "order"})
        assert "orders" in told
        assert server.password not in told


def test_mongodb(forms: Forms, tmp_path: Path) -> None:
    with mongodb_server(tmp_path) as server, server.admin() as client:
        documents = client[server.database]["orders"]
        documents.insert_many([dict(row) for row in ROWS])
        fields = server.connection()
        forms.airflow.connect(
            "aimass_mongodb", "aimass_mongodb", host=fields["host"], port=fields["port"], login=fields["user"],
            password=fields["password"], schema=fields["database"], extra=json.dumps({"auth_source": "admin"}),
        )  # fmt: skip
        dear = forms.ingest("mongodb", collection="orders", filter={"price": {"$gte": 5}}, secret=fields["password"])
        assert forms.rows(dear) == [row for row in ROWS if row["price"] >= 5]
        chained = {"collection": "orders", "mode": "incremental", "name": "growing"}
        assert "cursor" in forms.airflow.refusal("aimass_ingest_mongodb", chained)
        chained["cursor"] = "_id"
        assert forms.rows(forms.ingest("mongodb", **chained)) == ROWS
        documents.insert_many([dict(row) for row in MORE])
        assert forms.rows(forms.ingest("mongodb", **chained)) == ROWS + MORE


def test_kafka(forms: Forms, tmp_path: Path) -> None:
    with kafka_server(tmp_path) as server:
        server.create("orders", partitions=2)
        for row in ROWS:
            server.write("orders", [json.dumps(row).encode()], partition=row["id"] % 2)
        forms.airflow.connect("aimass_kafka", "aimass_kafka", host=server.address)
        chained = {"topics": ["orders"], "mode": "incremental"}
        assert forms.rows(forms.ingest("kafka", **chained)) == ROWS
        server.write("orders", [json.dumps(row).encode() for row in MORE])
        assert forms.rows(forms.ingest("kafka", **chained)) == ROWS + MORE
        assert "orders" in forms.airflow.refusal("aimass_ingest_kafka", {"name": "orders", "topics": ["order"]})
        stolen = {"name": "orders", "topics": ["orders"], "options": {"value_schema_file": "/etc/passwd"}}
        assert "allowed_roots" in forms.airflow.refusal("aimass_ingest_kafka", stolen)


def test_hdfs(forms: Forms, tmp_path: Path) -> None:
    with hdfs_server(tmp_path) as server:
        server.put("/lake/orders/1.csv", pl.DataFrame(ROWS).write_csv().encode())
        fields = server.connection()
        forms.airflow.connect(
            "aimass_hdfs", "aimass_hdfs", host=fields["host"], port=fields["port"], login=fields["user"]
        )
        chained = {"path": "/lake/orders/*.csv", "mode": "incremental"}
        assert forms.rows(forms.ingest("hdfs", **chained)) == ROWS
        server.put("/lake/orders/2.csv", pl.DataFrame(MORE).write_csv().encode())
        assert forms.rows(forms.ingest("hdfs", **chained)) == ROWS + MORE


def test_obs(forms: Forms, tmp_path: Path) -> None:
    with seaweedfs(tmp_path) as server:
        bucket = server.bucket("lake")
        bucket.put("orders/1.csv", pl.DataFrame(ROWS).write_csv().encode())
        fields = server.connection()
        forms.airflow.connect(
            "aimass_obs", "aimass_obs", host=fields["endpoint"], login=fields["access_key_id"],
            password=fields["secret_access_key"],
            extra=json.dumps({name: fields[name] for name in ("protocol", "addressing")}),
        )  # fmt: skip
        chained = {"uri": "obs://lake/orders/*.csv", "mode": "incremental", "secret": fields["secret_access_key"]}
        assert forms.rows(forms.ingest("obs", **chained)) == ROWS
        bucket.put("orders/2.csv", pl.DataFrame(MORE).write_csv().encode())
        assert forms.rows(forms.ingest("obs", **chained)) == ROWS + MORE
        told = forms.airflow.refusal("aimass_ingest_obs", {"name": "orders", "uri": "file:///etc/passwd"})
        assert "obs://" in told


def test_files(forms: Forms) -> None:
    uploads = forms.home.store / "uploads"
    uploads.mkdir(parents=True)
    (uploads / "orders.csv").write_text(pl.DataFrame(ROWS).write_csv())
    assert forms.rows(forms.ingest("files", uri=str(uploads / "orders.csv"))) == ROWS
    assert "did you mean" in forms.airflow.refusal("aimass_ingest_files", {"name": "orders", "ur": "x"})


def test_a_server_that_is_silent_is_no_reason_to_refuse_the_trigger(forms: Forms) -> None:
    assert "connection 'aimass_nowhere'" in forms.airflow.refusal(
        "aimass_ingest_hdfs", {"name": "orders", "path": "/x", "conn_id": "aimass_nowhere"}
    )

"""`airflow aimass source`: what is said of sources that can be read, and of those that cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.services.server import free_port

Airflow = Callable[..., Any]
PIPELINE = """
name: shop
sources:
  orders: {{type: files, uri: "{folder}/orders.csv"}}
  gone: {{type: files, uri: "{folder}/ordrs.csv"}}
ingest: {{mode: incremental}}
target: {{name: price}}
"""


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", str(tmp_path / "store"))
    lines = ["id,city,price", *(f"{number},北京 {number},{number / 4}" for number in range(1, 41))]
    (tmp_path / "orders.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a connection to a server that is not there."""
    fields = {"conn_type": "aimass_mysql", "host": "127.0.0.1", "port": free_port(), "login": "u", "schema": "shop"}
    monkeypatch.setenv("AIRFLOW_CONN_NOBODY", json.dumps({**fields, "password": "Hidden-1", "extra": {"tls": "off"}}))
    return "nobody"


def written(folder: Path, text: str) -> str:
    file = folder / "written.yaml"
    file.write_text(text.format(folder=folder))
    return str(file)


def test_check_of_a_pipeline_looks_at_each_source(airflow: Airflow, lake: Path) -> None:
    file = written(lake, PIPELINE)
    done = airflow("source", "check", file)
    assert done.code == 1
    assert "orders (files): ok, 3 columns" in done.out
    assert "gone (files): cannot be read" in done.out
    assert "orders.csv" in done.err
    orders, gone = json.loads(airflow("source", "check", file, "--json").out)
    assert orders["ok"]
    assert orders["columns"] == [
        {"name": "id", "type": "int64"}, {"name": "city", "type": "string"}, {"name": "price", "type": "double"}
    ]  # fmt: skip
    assert (gone["ok"], gone["columns"]) == (False, [])


@pytest.mark.parametrize(
    "text",
    [
        "type: files\nuri: '{folder}/*.csv'\n",
        "name: orders\nsource: {{type: files, uri: '{folder}/*.csv'}}\nmode: incremental\n",
    ],
    ids=["source", "ingest"],
)
def test_a_file_may_hold_a_source_or_a_configuration_of_ingest(airflow: Airflow, lake: Path, text: str) -> None:
    done = airflow("source", "check", written(lake, text))
    assert (done.code, done.err) == (0, "")


def test_sample_shows_the_first_rows_column_by_column(airflow: Airflow, lake: Path) -> None:
    done = airflow("source", "sample", str(lake / "orders.csv"), "--rows", "3")
    assert (done.code, done.err) == (0, "")
    assert "3 rows, and there are more" in done.out
    assert "北京 1 | 北京 2 | 北京 3" in done.out
    (found,) = json.loads(airflow("source", "sample", str(lake / "*.csv"), "--rows", "100", "--json").out)
    assert (len(found["rows"]), found["is_whole"], found["rejected"]) == (40, True, {})
    assert found["rows"][1] == {"id": 2, "city": "北京 2", "price": 0.5}
    assert found["columns"][2] == {"name": "price", "type": "double"}


def test_sample_takes_settings_and_tells_rejects(airflow: Airflow, lake: Path) -> None:
    (lake / "odd.txt").write_text("a;b\n1;\x1b[31mred\n2;x;y\n")
    done = airflow("source", "sample", str(lake / "odd.txt"), "format=csv", "delimiter=;", "types={a: string}")
    assert done.code == 0, done.err
    assert "1 rows between them do not fit" in done.err
    assert "\x1b" not in done.out, "data must not steer a terminal"
    assert "string" in done.out


def test_a_connection_that_nobody_answers_is_said_without_its_secret(airflow: Airflow, nobody: str) -> None:
    done = airflow("source", "check", nobody)
    assert done.code == 1
    assert "nobody (aimass_mysql): cannot be read" in done.out
    done = airflow("source", "check", nobody, "table=orders")
    assert done.code == 3
    later = airflow("source", "sample", nobody, "table=orders")
    assert later.code == 3
    for said in (done, later):
        assert "127.0.0.1" in said.err
        assert "Hidden-1" not in said.out + said.err
    (told,) = json.loads(airflow("source", "check", nobody, "--json").out)
    assert (told["ok"], told["type"]) == (False, "aimass_mysql")
    assert "Hidden-1" not in told["told"]


def test_connections_of_airflows_database_are_found_and_nothing_is_logged(airflow: Airflow) -> None:
    from airflow.models import Connection  # noqa: TID251 - what the page Admin → Connections writes
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    initdb()
    fields: dict[str, Any] = {"host": "127.0.0.1", "port": free_port(), "extra": '{"timeout_s": 0.3}'}
    with create_session() as session:
        session.merge(Connection(conn_id="in_database", conn_type="aimass_mongodb", **fields))
    done = airflow("source", "check", "in_database", "--json")
    assert done.code == 1
    (told,) = json.loads(done.out)
    assert (told["type"], told["ok"]) == ("aimass_mongodb", False)
    assert "127.0.0.1" in told["told"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "no connection 'nowhere'"),
        (["nobody", "tables=orders"], "did you mean 'table'"),
        (["nobody", "table"], "name=value"),
        (["gone.yaml"], "gone.yaml"),
    ],
)
def test_what_cannot_be_asked_is_said(airflow: Airflow, nobody: str, words: list[str], told: str) -> None:
    done = airflow("source", "sample", *words)
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: shop\n", "nothing about a source"),
        ("name: shop\nsources: {{}}\n", "target"),
        ("[1", "line 1"),
        ("source: orders\n", "source"),
    ],
)
def test_a_file_that_says_no_source_is_said(airflow: Airflow, lake: Path, text: str, told: str) -> None:
    done = airflow("source", "sample", written(lake, text))
    assert done.code == 2, done
    assert told in done.err


def test_rows_are_a_number_above_zero(airflow: Airflow, lake: Path) -> None:
    assert airflow("source", "sample", str(lake / "orders.csv"), "--rows", "0").code == 2

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.sdk import Connection

from aimass.core.errors import ConfigError, NotFoundError
from aimass.hooks.mlflow import MlflowHook, mlflow_settings
from aimass.hooks.runtime import build_runtime
from aimass.hooks.store import StoreHook, store_settings


def test_a_store_for_s3_gets_key_secret_and_endpoint() -> None:
    extra = json.dumps({"root": "s3://bucket/aimass/", "endpoint_url": "http://s3:9000", "options": {"anon": False}})
    found = store_settings(Connection(conn_id="c", conn_type="aimass_store", login="k", password="s", extra=extra))
    assert found.root == "s3://bucket/aimass/"
    assert found.options == {
        "s3://bucket/aimass": {"key": "k", "secret": "s", "endpoint_url": "http://s3:9000", "anon": False}
    }


def test_a_store_without_root_says_which_field_is_missing() -> None:
    with pytest.raises(ConfigError, match="Root"):
        store_settings(Connection(conn_id="c", conn_type="aimass_store"))


def test_the_store_hook_tests_by_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "aimass_store", "extra": {"root": str(tmp_path)}}
    monkeypatch.setenv("AIRFLOW_CONN_AIMASS_STORE", json.dumps(connection))
    ok, message = StoreHook().test_connection()
    assert ok, message
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    (tmp_path / "file").write_text("x")
    connection["extra"] = {"root": str(tmp_path / "file" / "below")}
    monkeypatch.setenv("AIRFLOW_CONN_AIMASS_STORE", json.dumps(connection))
    ok, message = StoreHook().test_connection()
    assert not ok, message


@pytest.mark.parametrize(
    ("fields", "uri"),
    [
        ({"extra": json.dumps({"tracking_uri": "http://mlflow:5000"})}, "http://mlflow:5000"),
        ({"host": "mlflow", "port": 5000}, "http://mlflow:5000"),
        ({"host": "mlflow", "schema": "https"}, "https://mlflow"),
        ({"host": "http://mlflow"}, "http://mlflow"),
    ],
)
def test_mlflow_addresses(fields: dict[str, object], uri: str) -> None:
    assert mlflow_settings(Connection(conn_id="m", conn_type="aimass_mlflow", **fields)).tracking_uri == uri


def test_the_mlflow_hook_says_why_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_AIMASS_MLFLOW", json.dumps({"conn_type": "aimass_mlflow", "host": "http://127.0.0.1:9"})
    )
    ok, message = MlflowHook().test_connection()
    assert not ok
    assert "refused" in message


def test_a_runtime_takes_the_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_AIMASS_STORE", json.dumps({"conn_type": "aimass_store", "extra": {"root": str(tmp_path)}})
    )
    monkeypatch.setenv(
        "AIRFLOW_CONN_AIMASS_MLFLOW",
        json.dumps({"conn_type": "aimass_mlflow", "host": "http://mlflow:1", "password": "tok-3141"}),
    )
    runtime = build_runtime(store_conn_id="aimass_store", tracking_conn_id="aimass_mlflow", project="p", run_id="r")
    assert runtime.store == str(tmp_path)
    assert runtime.tracking_token is not None
    assert runtime.tracking_token.get_secret_value() == "tok-3141"
    assert "tok-3141" not in repr(runtime)


def test_without_connections_the_options_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", "memory://store")
    monkeypatch.setenv("AIRFLOW__AIMASS__TRACKING_URI", "http://elsewhere:1")
    runtime = build_runtime(store_conn_id="aimass_store", tracking_conn_id="aimass_mlflow")
    assert (runtime.store, runtime.tracking_uri) == ("memory://store", "http://elsewhere:1")


def test_a_connection_named_on_purpose_must_exist() -> None:
    with pytest.raises(NotFoundError, match="no_such"):
        build_runtime(store_conn_id="no_such", tracking_conn_id="aimass_mlflow")

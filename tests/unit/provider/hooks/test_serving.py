from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.sdk import Connection

from aimass.core.errors import ConfigError, NotFoundError
from aimass.hooks.serving import ServingHook, conn_ids, endpoint_document, endpoints_of
from tests.unit.provider.in_use import make_world


def connection(**fields: object) -> Connection:
    return Connection(conn_id="c", conn_type="aimass_serving", **fields)


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "serving", "port": 8200}, "http://serving:8200"),
        ({"host": "serving", "schema": "https"}, "https://serving"),
        ({"host": "https://serving:1/"}, "https://serving:1/"),
    ],
)
def test_addresses(fields: dict[str, object], url: str) -> None:
    assert endpoint_document(connection(**fields)) == {"type": "http", "url": url}


def test_token_and_extras_are_taken_and_the_token_is_not_shown() -> None:
    extra = json.dumps({"verify_tls": False, "timeout_s": 3, "ca_file": "", "other": 1})
    document = endpoint_document(connection(host="h", password="tok-2718", extra=extra))
    assert document == {"type": "http", "url": "http://h", "token": "tok-2718", "verify_tls": False, "timeout_s": 3}


def test_a_connection_without_a_server_says_which_field_is_missing() -> None:
    with pytest.raises(ConfigError, match="Host"):
        endpoint_document(connection())


def test_the_option_takes_the_place_of_the_default_connection_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIMASS__SERVING_URL", "http://serving:8200")
    assert ServingHook().document() == {"type": "http", "url": "http://serving:8200"}
    with pytest.raises(NotFoundError, match="no connection 'elsewhere'"):
        ServingHook("elsewhere").document()
    monkeypatch.delenv("AIRFLOW__AIMASS__SERVING_URL")
    with pytest.raises(NotFoundError, match="serving_url"):
        ServingHook().document()


def test_servers_are_named_once_each() -> None:
    assert conn_ids("a, b  a") == conn_ids(["a", "b", "a"]) == ["a", "b"]
    with pytest.raises(ConfigError, match="No inference server"):
        endpoints_of(" ")


def test_the_hook_tests_by_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(tmp_path, monkeypatch)
    assert ServingHook().test_connection() == (True, "aimass_serving answered; it serves late")
    world.server.down = True
    ok, told = ServingHook().test_connection()
    assert not ok
    assert "does not answer" in told
    monkeypatch.setenv(
        "AIRFLOW_CONN_AIMASS_SERVING", json.dumps({"conn_type": "aimass_serving", "host": "127.0.0.1", "port": 9})
    )
    assert ServingHook().test_connection()[0] is False

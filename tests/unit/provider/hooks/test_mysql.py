from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from aimass.core.errors import ConfigError
from aimass.core.settings import parse_settings
from aimass.core.sources.mysql.connection import MySqlConnection
from aimass.hooks.mysql import MySqlHook
from tests.services.server import free_port

WHO = {"host": "db", "login": "u", "password": "p@ss", "schema": "s", "port": 3307}
FIELDS = {"host": "db", "user": "u", "password": "p@ss", "database": "s", "port": 3307}


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(conn_type: str, extra: dict[str, Any] | None = None, **fields: Any) -> MySqlHook:
        found = Connection(conn_id="c", conn_type=conn_type, extra=json.dumps(extra or {}), **{**WHO, **fields})
        monkeypatch.setattr(MySqlHook, "get_connection", classmethod(lambda cls, conn_id: found))
        return MySqlHook("c")

    return made


def parsed(document: dict[str, Any]) -> MySqlConnection:
    return parse_settings(MySqlConnection, document, where="test", is_secret=True)


def test_document_our_type_keeps_its_extras(hook: Any) -> None:
    document = hook("aimass_mysql", {"tls": "off", "tls_ca": "", "read_timeout_s": 5}).document()
    assert document == {**FIELDS, "tls": "off", "read_timeout_s": 5}
    assert parsed(hook("aimass_mysql").document()).tls == "verified"


@pytest.mark.parametrize(
    ("extra", "tls"),
    [
        ({}, {"tls": "off"}),
        ({"charset": "utf8mb4"}, {"tls": "off"}),
        ({"ssl": {"ca": "/ca.pem"}}, {"tls": "verified", "tls_ca": "/ca.pem"}),
        ({"ssl_mode": "VERIFY_CA"}, {"tls": "verified"}),
    ],
)
def test_document_standard_type_is_read_too(hook: Any, extra: dict[str, Any], tls: dict[str, str]) -> None:
    document = hook("mysql", extra).document()
    assert document == {**FIELDS, **tls}
    assert parsed(document).host == "db"


@pytest.mark.parametrize("extra", [{"unix_socket": "/x"}, {"ssl": {"cert": "c", "key": "k"}}, {"ssl": "yes"}])
def test_document_what_the_engine_will_not_do_is_told(hook: Any, extra: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        hook("mysql", extra).document()


def test_test_connection_nobody_there_tells_no_password(hook: Any) -> None:
    works, said = hook("aimass_mysql", {"tls": "off"}, host="127.0.0.1", port=free_port()).test_connection()
    assert not works
    assert "127.0.0.1" in said
    assert "p@ss" not in said


def test_url_holds_whatever_a_password_may_hold() -> None:
    url = parsed({"host": "::1", "user": "a@b", "password": "p@s/s:?# ü", "tls_ca": "/a b/ca.pem"}).url()
    assert url.startswith("mysql://a%40b:p%40s%2Fs%3A%3F%23%20%C3%BC@[::1]:3306/?")
    assert "ssl-mode=VERIFY_IDENTITY" in url

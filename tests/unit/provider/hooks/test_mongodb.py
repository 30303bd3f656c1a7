from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from aimass.core.errors import ConfigError
from aimass.core.settings import parse_settings
from aimass.core.sources.mongodb.connection import MongoDbConnection
from aimass.hooks.mongodb import MongoDbHook
from tests.services.server import free_port

WHO = {"host": "db", "login": "u", "password": "p@ss", "schema": "s", "port": 27018}
FIELDS = {"host": "db", "user": "u", "password": "p@ss", "database": "s", "port": 27018}


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(conn_type: str, extra: dict[str, Any] | None = None, **fields: Any) -> MongoDbHook:
        found = Connection(conn_id="c", conn_type=conn_type, extra=json.dumps(extra or {}), **{**WHO, **fields})
        monkeypatch.setattr(MongoDbHook, "get_connection", classmethod(lambda cls, conn_id: found))
        return MongoDbHook("c")

    return made


def parsed(document: dict[str, Any]) -> MongoDbConnection:
    return parse_settings(MongoDbConnection, document, where="test", is_secret=True)


def test_document_our_type_keeps_its_extras(hook: Any) -> None:
    document = hook("aimass_mongodb", {"tls": True, "auth_source": "", "timeout_s": 5}).document()
    assert document == {**FIELDS, "tls": True, "timeout_s": 5}
    assert parsed(document).read_preference == "primary"


@pytest.mark.parametrize(
    ("extra", "more"),
    [
        ({}, {}),
        ({"srv": True}, {"is_srv": True, "tls": True}),
        ({"ssl": True, "tlsCAFile": "/ca.pem"}, {"tls": True, "ca_file": "/ca.pem"}),
        (
            {"authSource": "admin", "replicaSet": "rs0", "retryWrites": "false"},
            {"auth_source": "admin", "replica_set": "rs0"},
        ),
        ({"allow_insecure": False}, {}),
    ],
)
def test_document_standard_type_is_read_too(hook: Any, extra: dict[str, Any], more: dict[str, Any]) -> None:
    document = hook("mongo", extra).document()
    assert document == {**FIELDS, **more}
    assert parsed(document).host == "db"


@pytest.mark.parametrize(
    "extra", [{"allow_insecure": True}, {"tlsAllowInvalidCertificates": "true"}, {"proxyHost": "x"}]
)
def test_document_what_the_engine_will_not_do_is_told(hook: Any, extra: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="asks for"):
        hook("mongo", extra).document()


def test_document_without_a_host_is_an_error(hook: Any) -> None:
    with pytest.raises(ConfigError, match="names no host"):
        hook("aimass_mongodb", host="").document()


def test_test_connection_nobody_there_tells_no_password(hook: Any) -> None:
    nobody = hook("aimass_mongodb", {"timeout_s": 0.3}, host="127.0.0.1", port=free_port())
    works, said = nobody.test_connection()
    assert not works
    assert "127.0.0.1" in said
    assert "p@ss" not in said

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from aimass.core.errors import ConfigError
from aimass.core.settings import parse_settings
from aimass.core.sources.hdfs.connection import HdfsConnection
from aimass.hooks.hdfs import HdfsHook, hdfs_document
from tests.services.server import free_port


def connection(conn_type: str, extra: dict[str, Any] | None = None, **fields: Any) -> Connection:
    found = {"host": "namenode", "login": "u", **fields}
    return Connection(conn_id="c", conn_type=conn_type, extra=json.dumps(extra or {}), **found)


def parsed(document: dict[str, Any]) -> HdfsConnection:
    return parse_settings(HdfsConnection, document, where="test", is_secret=True)


def test_our_own_connection_keeps_its_extras() -> None:
    document = hdfs_document(connection("aimass_hdfs", {"timeout_s": 5, "ca_file": "", "kerberos": True}, port=9000))
    assert document == {"host": "namenode", "user": "u", "port": 9000, "timeout_s": 5, "kerberos": True}
    found = parsed(document)
    assert (found.protocol, found.address) == ("rpc", "namenode:9000")


def test_name_service_needs_no_port() -> None:
    nodes = {"dfs.nameservices": "ns", "dfs.ha.namenodes.ns": "a,b"}
    found = parsed(hdfs_document(connection("aimass_hdfs", {"hadoop": nodes}, host="ns")))
    assert (found.is_name_service, found.address) == (True, "ns")


@pytest.mark.parametrize(
    ("extra", "tls", "ca_file"),
    [
        ({}, False, None),
        ({"use_ssl": "True"}, True, None),
        ({"use_ssl": True, "verify": "/ca.pem"}, True, "/ca.pem"),
        ({"use_ssl": True, "verify": "True"}, True, None),
        ({"use_ssl": True, "verify": True}, True, None),
    ],
)
def test_standard_type_is_read_too_and_always_verified(extra: dict[str, Any], tls: bool, ca_file: str | None) -> None:
    found = parsed(hdfs_document(connection("webhdfs", extra)))
    assert (found.protocol, found.address) == ("webhdfs", "namenode:9870")
    assert (found.tls, found.ca_file) == (tls, ca_file)


@pytest.mark.parametrize("verify", [False, "False"])
def test_who_asks_not_to_verify_is_refused(verify: Any) -> None:
    with pytest.raises(ConfigError, match="sets verify to false"):
        hdfs_document(connection("webhdfs", {"use_ssl": True, "verify": verify}))


@pytest.mark.parametrize(("host", "said"), [("", "no host"), ("a,b", "several hosts")])
def test_without_a_single_host_is_an_error(host: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        hdfs_document(connection("aimass_hdfs", host=host))


@pytest.mark.parametrize(
    ("extra", "fields"), [({"token": "Hidden-2"}, {}), ({"kerberos": True}, {}), ({}, {"login": None})]
)
def test_a_password_beside_another_proof_is_refused(extra: dict[str, Any], fields: dict[str, Any]) -> None:
    found = connection("aimass_hdfs", {"protocol": "webhdfs", **extra}, password="Hidden-1", **fields)
    with pytest.raises(ConfigError, match="a password over WebHDFS needs a user") as raised:
        parsed(hdfs_document(found))
    assert "Hidden" not in str(raised.value)


@pytest.mark.parametrize("proof", ["token", "password"])
def test_test_connection_nobody_there_tells_no_secret(monkeypatch: pytest.MonkeyPatch, proof: str) -> None:
    extra = {"protocol": "webhdfs", "timeout_s": 0.3} | ({"token": "Hidden-1"} if proof == "token" else {})
    password = "Hidden-1" if proof == "password" else None
    nobody = connection("aimass_hdfs", extra, host="127.0.0.1", port=free_port(), password=password)
    monkeypatch.setattr(HdfsHook, "get_connection", classmethod(lambda cls, conn_id: nobody))
    works, said = HdfsHook("c").test_connection()
    assert not works
    assert "127.0.0.1" in said
    assert "Hidden" not in said

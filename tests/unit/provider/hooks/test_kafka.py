from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from aimass.core.errors import ConfigError
from aimass.core.settings import parse_settings
from aimass.core.sources.kafka.connection import KafkaConnection
from aimass.hooks.kafka import KafkaHook, kafka_document


def connection(conn_type: str, extra: dict[str, Any] | None = None, **fields: Any) -> Connection:
    return Connection(conn_id="c", conn_type=conn_type, extra=json.dumps(extra or {}), **fields)


def parsed(document: dict[str, Any]) -> KafkaConnection:
    return parse_settings(KafkaConnection, document, where="test", is_secret=True)


@pytest.mark.parametrize(
    ("host", "port", "servers"),
    [("a", None, "a:9092"), ("a", 9093, "a:9093"), ("a, b:1 ,", 9093, "a:9093,b:1")],
)
def test_our_own_connection_names_its_brokers(host: str, port: int | None, servers: str) -> None:
    document = kafka_document(connection("aimass_kafka", {"ca_file": ""}, host=host, port=port))
    assert document == {"bootstrap_servers": servers}
    assert parsed(document).security_protocol == "PLAINTEXT"


@pytest.mark.parametrize(
    ("extra", "protocol"), [({}, "SASL_SSL"), ({"security_protocol": "SASL_PLAINTEXT"}, "SASL_PLAINTEXT")]
)
def test_a_password_goes_over_tls_unless_told_otherwise(extra: dict[str, Any], protocol: str) -> None:
    document = kafka_document(connection("aimass_kafka", extra, host="a", login="u", password="p"))
    found = parsed(document)
    assert (found.security_protocol, found.mechanism, found.user) == (protocol, "SCRAM-SHA-512", "u")


def test_standard_type_is_read_too() -> None:
    extra = {
        "bootstrap.servers": "a:9092,b:9092",
        "security.protocol": "sasl_ssl",
        "sasl.mechanisms": "scram-sha-256",
        "sasl.username": "u",
        "sasl.password": "p",
        "ssl.ca.location": "/ca.pem",
        "ssl.endpoint.identification.algorithm": "none",
        "group.id": "ignored",
    }
    document = kafka_document(connection("kafka", extra))
    assert document == {
        "bootstrap_servers": "a:9092,b:9092",
        "security_protocol": "SASL_SSL",
        "mechanism": "SCRAM-SHA-256",
        "user": "u",
        "password": "p",
        "ca_file": "/ca.pem",
        "verify_host": False,
    }
    assert parsed(document).uses_tls


@pytest.mark.parametrize(
    "extra", [{"sasl.mechanism": "GSSAPI"}, {"sasl.oauthbearer.config": "x"}, {"ssl.keystore.location": "/store"}]
)
def test_what_the_engine_will_not_do_is_told(extra: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="asks for"):
        kafka_document(connection("kafka", {"bootstrap.servers": "a:9092", **extra}))


@pytest.mark.parametrize("conn_type", ["aimass_kafka", "kafka"])
def test_without_a_broker_is_an_error(conn_type: str) -> None:
    with pytest.raises(ConfigError, match="names no broker"):
        kafka_document(connection(conn_type))


@pytest.mark.parametrize(
    ("fields", "said"), [({}, "names no broker"), ({"host": "a", "login": "u"}, "SASL_SSL needs user and password")]
)
def test_test_connection_tells_what_is_wrong_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], said: str
) -> None:
    wrong = connection("aimass_kafka", {"key_password": "Hidden-1"}, **fields)
    monkeypatch.setattr(KafkaHook, "get_connection", classmethod(lambda cls, conn_id: wrong))
    works, told = KafkaHook("c").test_connection()
    assert not works
    assert said in told
    assert "Hidden-1" not in told

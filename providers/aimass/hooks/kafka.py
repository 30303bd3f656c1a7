"""The connection type ``aimass_kafka``: a Kafka cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aimass.core.errors import ConfigError
from aimass.core.settings import given
from aimass.core.sources.kafka.connection import KafkaConnection
from aimass.hooks.source import SourceHook

if TYPE_CHECKING:
    from airflow.sdk import Connection

STANDARD_TYPE = "kafka"
FIELDS = (
    "security_protocol",
    "mechanism",
    "ca_file",
    "cert_file",
    "key_file",
    "key_password",
    "verify_host",
    "timeout_s",
)
"""Extras of our own type that are fields of the engine's model."""
LIBRDKAFKA_FIELDS = {
    "bootstrap.servers": "bootstrap_servers",
    "metadata.broker.list": "bootstrap_servers",
    "security.protocol": "security_protocol",
    "sasl.mechanism": "mechanism",
    "sasl.mechanisms": "mechanism",
    "sasl.username": "user",
    "sasl.password": "password",
    "ssl.ca.location": "ca_file",
    "ssl.certificate.location": "cert_file",
    "ssl.key.location": "key_file",
    "ssl.key.password": "key_password",
}
"""What the official provider's extra, a librdkafka configuration, calls our fields."""
UNSUPPORTED = (
    "sasl.kerberos.",
    "sasl.oauthbearer.",
    "ssl.keystore.",
    "ssl.ca.pem",
    "ssl.key.pem",
    "ssl.certificate.pem",
)


class KafkaHook(SourceHook[KafkaConnection]):
    """Reaches the cluster of a connection of type ``aimass_kafka``, or ``kafka`` of the official provider."""

    default_conn_name = conn_type = "aimass_kafka"
    hook_name = "AI Mass Kafka"
    model = KafkaConnection
    secrets = ("password", "key_password")

    def read(self, connection: Connection) -> dict[str, Any]:
        """Return the fields of the engine's model."""
        return kafka_document(connection)

    def check(self, connection: KafkaConnection) -> str:
        """Ask for the topics."""
        from aimass.core.sources.kafka.cluster import Cluster

        with Cluster(connection) as cluster:
            names = cluster.names()
        return f"{connection.bootstrap_servers} answered; it has {len(names)} topics that this user may see"


def kafka_document(connection: Connection) -> dict[str, Any]:
    """Return the engine's document for `connection`.

    Raises
    ------
    ConfigError
        No broker is named, or the official provider's extra asks for what we do not have (Kerberos, OAuth).
    """
    extra = connection.extra_dejson
    document = _from_librdkafka(extra) if connection.conn_type == STANDARD_TYPE else _from_fields(connection, extra)
    if not document.get("bootstrap_servers"):
        raise ConfigError(
            f"The connection {connection.conn_id!r} names no broker",
            expected="host:port, several separated by commas",
            conn_id=connection.conn_id,
        )
    return document


def _from_fields(connection: Connection, extra: Mapping[str, Any]) -> dict[str, Any]:
    hosts = [host.strip() for host in (connection.host or "").split(",") if host.strip()]
    port = connection.port or 9092
    document: dict[str, Any] = {
        "bootstrap_servers": ",".join(host if ":" in host else f"{host}:{port}" for host in hosts),
        "user": connection.login,
        "password": connection.password,
    }
    document |= {name: extra.get(name) for name in FIELDS}
    if connection.login and not document["security_protocol"]:
        document["security_protocol"] = "SASL_SSL"
    return given(document)


def _from_librdkafka(extra: Mapping[str, Any]) -> dict[str, Any]:
    wrong = [name for name in extra if name.startswith(UNSUPPORTED)]
    mechanism = str(extra.get("sasl.mechanism") or extra.get("sasl.mechanisms") or "")
    if mechanism.upper() in ("GSSAPI", "OAUTHBEARER"):
        wrong.append(f"sasl.mechanism={mechanism}")
    if wrong:
        raise ConfigError(
            f"The connection asks for {', '.join(sorted(wrong))}",
            expected="user and password (PLAIN, SCRAM), or certificates from files",
        )
    document = {ours: extra[theirs] for theirs, ours in LIBRDKAFKA_FIELDS.items() if extra.get(theirs)}
    for name in ("security_protocol", "mechanism"):
        if name in document:
            document[name] = str(document[name]).upper()
    if str(extra.get("ssl.endpoint.identification.algorithm", "https")).lower() == "none":
        document["verify_host"] = False
    return document

"""Where a Kafka cluster is and who asks."""

from __future__ import annotations

import logging
from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator

from aimass.core.connections import ConnectionSettings

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class KafkaConnection(ConnectionSettings):
    """What reaches a cluster."""

    bootstrap_servers: str = Field(
        min_length=1, description="Addresses of some brokers, host:port, separated by commas; they name the others."
    )
    security_protocol: Protocol = Field(
        default="PLAINTEXT",
        description="PLAINTEXT; SSL: encrypted; SASL_PLAINTEXT: with user and password; SASL_SSL: both.",
    )
    mechanism: Mechanism = Field(default="SCRAM-SHA-512", description="How the password is proved.")
    user: str | None = Field(default=None, description="User name.")
    password: SecretStr | None = Field(default=None, description="Password.")
    ca_file: str | None = Field(default=None, description="Certificates that are trusted instead of the system's.")
    cert_file: str | None = Field(default=None, description="The client's own certificate, where brokers ask for one.")
    key_file: str | None = Field(default=None, description="Key of the client's certificate.")
    key_password: SecretStr | None = Field(default=None, description="Password of that key.")
    verify_host: bool = Field(default=True, description="Whether a certificate must be made out to the broker's name.")
    timeout_s: float = Field(default=30, gt=0, description="How long a silent cluster is waited for, in seconds.")

    @model_validator(mode="after")
    def _has_user(self) -> KafkaConnection:
        if self.uses_sasl and not (self.user and self.password):
            raise ValueError(f"{self.security_protocol} needs user and password")
        return self

    @property
    def uses_sasl(self) -> bool:
        """Whether a user and a password are asked for."""
        return self.security_protocol.startswith("SASL")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security_protocol.endswith("SSL")


def kafka_python_settings(connection: KafkaConnection) -> dict[str, Any]:
    """Return what the clients of kafka-python are told to reach the cluster."""
    # Below this level the library logs passwords: its configuration, and what it sends.
    logging.getLogger("kafka").setLevel(logging.WARNING)
    found: dict[str, Any] = {
        "bootstrap_servers": [address.strip() for address in connection.bootstrap_servers.split(",")],
        "security_protocol": connection.security_protocol,
        "request_timeout_ms": int(connection.timeout_s * 1000),
        "reconnect_backoff_max_ms": 1000,
    }
    if connection.uses_sasl:
        found |= {
            "sasl_mechanism": connection.mechanism,
            "sasl_plain_username": connection.user,
            "sasl_plain_password": _revealed(connection.password),
        }
    if connection.uses_tls:
        found |= {
            "ssl_cafile": connection.ca_file,
            "ssl_certfile": connection.cert_file,
            "ssl_keyfile": connection.key_file,
            "ssl_password": _revealed(connection.key_password),
            "ssl_check_hostname": connection.verify_host,
        }
    return found


def librdkafka_settings(connection: KafkaConnection) -> dict[str, Any]:
    """Return what the clients of confluent-kafka are told to reach the cluster."""
    found: dict[str, Any] = {
        "bootstrap.servers": connection.bootstrap_servers,
        "security.protocol": connection.security_protocol,
        "sasl.mechanism": connection.mechanism if connection.uses_sasl else None,
        "sasl.username": connection.user if connection.uses_sasl else None,
        "sasl.password": _revealed(connection.password) if connection.uses_sasl else None,
        "ssl.ca.location": connection.ca_file,
        "ssl.certificate.location": connection.cert_file,
        "ssl.key.location": connection.key_file,
        "ssl.key.password": _revealed(connection.key_password),
        "ssl.endpoint.identification.algorithm": "https" if connection.verify_host else "none",
        "reconnect.backoff.max.ms": 1000,
    }
    return {name: value for name, value in found.items() if value is not None}


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None

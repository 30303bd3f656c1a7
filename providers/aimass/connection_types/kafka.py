"""The connection type ``aimass_kafka``: a Kafka cluster."""

from __future__ import annotations

from typing import Any


def connection_type() -> dict[str, Any]:
    """Return the type and its form as Airflow's ``provider.yaml`` describes them."""
    return {
        "connection-type": "aimass_kafka",
        "hook-class-name": "aimass.hooks.kafka.KafkaHook",
        "hook-name": "AI Mass Kafka",
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "extra"],
            "relabeling": {"host": "Brokers", "login": "User"},
            "placeholders": {"host": "kafka-1:9092,kafka-2:9092", "port": "9092, where a broker names none"},
        },
        "conn-fields": {
            "security_protocol": {
                "label": "Security protocol",
                "description": "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; when empty SASL_SSL with a user, otherwise "
                "PLAINTEXT.",
                "schema": {
                    "type": ["string", "null"],
                    "enum": ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL", None],
                },
            },
            "mechanism": {
                "label": "SASL mechanism",
                "description": "How the password is proved; SCRAM-SHA-512 when empty.",
                "schema": {"type": ["string", "null"], "enum": ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", None]},
            },
            "ca_file": {
                "label": "CA file",
                "description": "Certificates that are trusted instead of the system's.",
                "schema": {"type": ["string", "null"]},
            },
            "cert_file": {
                "label": "Client certificate file",
                "description": "Where the brokers ask for one.",
                "schema": {"type": ["string", "null"]},
            },
            "key_file": {
                "label": "Client key file",
                "description": "Key of the client certificate.",
                "schema": {"type": ["string", "null"]},
            },
            "key_password": {
                "label": "Password of the client key",
                "description": "Where the key file is encrypted.",
                "schema": {"type": ["string", "null"], "format": "password"},
            },
            "verify_host": {
                "label": "Verify the host",
                "description": "Whether a certificate must be made out to the broker's name.",
                "schema": {"type": ["boolean", "null"], "default": True},
            },
            "timeout_s": {
                "label": "Time-out in seconds",
                "description": "How long a silent cluster is waited for; 30 when empty.",
                "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
            },
        },
    }

"""The connection type ``aimass_mongodb``: a MongoDB deployment."""

from __future__ import annotations

from typing import Any

_PREFERENCES = ["primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest", None]


def connection_type() -> dict[str, Any]:
    """Return the type and its form as Airflow's ``provider.yaml`` describes them."""
    return {
        "connection-type": "aimass_mongodb",
        "hook-class-name": "aimass.hooks.mongodb.MongoDbHook",
        "hook-name": "AI Mass MongoDB",
        "ui-field-behaviour": {
            "hidden-fields": ["extra"],
            "relabeling": {"login": "User", "schema": "Database"},
            "placeholders": {
                "host": "mongo.example.org, or mongo-1:27017,mongo-2:27017",
                "port": "27017",
                "schema": "database of sources that name none",
            },
        },
        "conn-fields": {
            "is_srv": {
                "label": "DNS seed list (mongodb+srv)",
                "description": "Whether the host is a name whose DNS entry lists the members.",
                "schema": {"type": ["boolean", "null"], "default": False},
            },
            "auth_source": _text("Authentication database", "The database that knows the user; admin when empty."),
            "auth_mechanism": _text(
                "Authentication mechanism", "SCRAM-SHA-256, SCRAM-SHA-1, MONGODB-X509 or PLAIN; agreed on when empty."
            ),
            "replica_set": _text("Replica set", "Its name."),
            "is_direct": {
                "label": "This host only",
                "description": "Whether other members of the replica set are left alone, as through a tunnel.",
                "schema": {"type": ["boolean", "null"], "default": False},
            },
            "read_preference": {
                "label": "Read preference",
                "description": "Which members are read; primary when empty. A secondary may lag behind.",
                "schema": {"type": ["string", "null"], "enum": _PREFERENCES},
            },
            "tls": {
                "label": "TLS",
                "description": "Whether the connection is encrypted and the server's certificate verified.",
                "schema": {"type": ["boolean", "null"], "default": False},
            },
            "ca_file": _text("CA file", "Certificates that are trusted instead of the system's."),
            "certificate_key_file": _text("Client certificate file", "The client's certificate and key, PEM."),
            "timeout_s": _seconds("Time-out in seconds", "Until a connection must stand; 10 when empty."),
            "read_timeout_s": _seconds(
                "Read time-out in seconds", "How long one answer is waited for; 300 when empty."
            ),
        },
    }


def _text(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"]}}


def _seconds(label: str, description: str) -> dict[str, Any]:
    schema = {"type": ["number", "null"], "exclusiveMinimum": 0}
    return {"label": label, "description": description, "schema": schema}

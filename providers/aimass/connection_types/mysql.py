"""The connection type ``aimass_mysql``: a MySQL server, or what speaks its protocol."""

from __future__ import annotations

from typing import Any


def connection_type() -> dict[str, Any]:
    """Return the type and its form as Airflow's ``provider.yaml`` describes them."""
    return {
        "connection-type": "aimass_mysql",
        "hook-class-name": "aimass.hooks.mysql.MySqlHook",
        "hook-name": "AI Mass MySQL",
        "ui-field-behaviour": {
            "hidden-fields": ["extra"],
            "relabeling": {"login": "User", "schema": "Database"},
            "placeholders": {
                "host": "mysql.example.org",
                "port": "3306",
                "schema": "schema of tables named without one",
            },
        },
        "conn-fields": {
            "tls": {
                "label": "TLS",
                "description": "verified: encrypted, and the certificate is checked against authority and host name. "
                "off: only the password is hidden.",
                "schema": {"type": "string", "enum": ["verified", "off"], "default": "verified"},
            },
            "tls_ca": {
                "label": "CA file",
                "description": "File, on the workers, of the authorities that may sign the server's certificate; the "
                "system's when empty.",
                "schema": {"type": ["string", "null"]},
            },
            "connect_timeout_s": {
                "label": "Time-out of the first answer, in seconds",
                "description": "How long the server may take to answer at first; 10 when empty.",
                "schema": {"type": ["integer", "null"], "minimum": 1},
            },
            "read_timeout_s": {
                "label": "Time-out of reading, in seconds",
                "description": "How long it may take to send anything more, such as a first row; 300 when empty.",
                "schema": {"type": ["integer", "null"], "minimum": 1},
            },
        },
    }

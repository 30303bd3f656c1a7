"""The connection type ``aimass_serving``: an inference server."""

from __future__ import annotations

from typing import Any


def connection_type() -> dict[str, Any]:
    """Return the type and its form as Airflow's ``provider.yaml`` describes them."""
    return {
        "connection-type": "aimass_serving",
        "hook-class-name": "aimass.hooks.serving.ServingHook",
        "hook-name": "AI Mass inference server",
        "ui-field-behaviour": {
            "hidden-fields": ["login", "extra"],
            "relabeling": {"schema": "Scheme", "password": "Token"},
            "placeholders": {
                "host": "serving.example.org",
                "schema": "http or https",
                "port": "8000",
                "password": "API token, where the server asks for one",
            },
        },
        "conn-fields": {
            "verify_tls": {
                "label": "Verify the certificate",
                "description": "Whether the server's certificate is checked.",
                "schema": {"type": ["boolean", "null"], "default": True},
            },
            "ca_file": {
                "label": "CA file",
                "description": "Certificates that are trusted besides the system's, where the server has its own.",
                "schema": {"type": ["string", "null"]},
            },
            "timeout_s": {
                "label": "Time-out in seconds",
                "description": "How long one answer is waited for.",
                "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
            },
            "work_timeout_s": {
                "label": "Time-out of work in seconds",
                "description": "How long the server is waited for where it loads, tries or drains a version; 180 when "
                "empty.",
                "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
            },
        },
    }

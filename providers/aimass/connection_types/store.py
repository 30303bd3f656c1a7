"""The connection type ``aimass_store``: where datasets and artifacts are written."""

from __future__ import annotations

from typing import Any


def connection_type() -> dict[str, Any]:
    """Return the type and its form as Airflow's ``provider.yaml`` describes them."""
    return {
        "connection-type": "aimass_store",
        "hook-class-name": "aimass.hooks.store.StoreHook",
        "hook-name": "AI Mass store",
        "ui-field-behaviour": {
            "hidden-fields": ["host", "schema", "port", "extra"],
            "relabeling": {"login": "Access key or user", "password": "Secret key or password"},
            "placeholders": {"login": "leave empty for local folders"},
        },
        "conn-fields": {
            "root": {
                "label": "Root",
                "description": "Folder or URI under which datasets and artifacts are written.",
                "schema": {"type": "string", "minLength": 1},
            },
            "endpoint_url": {
                "label": "Endpoint",
                "description": "Address of an S3-compatible service; empty for the cloud's own.",
                "schema": {"type": ["string", "null"], "format": "url"},
            },
            "options": {
                "label": "File system options",
                "description": "Further options for fsspec, as a JSON object.",
                "schema": {"type": ["object", "null"]},
            },
        },
    }

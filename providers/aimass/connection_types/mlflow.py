"""The connection type ``aimass_mlflow``: the tracking server and model registry."""

from __future__ import annotations

from typing import Any


def connection_type() -> dict[str, Any]:
    """Return the type and its form as Airflow's ``provider.yaml`` describes them."""
    return {
        "connection-type": "aimass_mlflow",
        "hook-class-name": "aimass.hooks.mlflow.MlflowHook",
        "hook-name": "AI Mass MLflow",
        "ui-field-behaviour": {
            "hidden-fields": ["host", "schema", "port", "login", "extra"],
            "relabeling": {"password": "Token"},
            "placeholders": {"password": "bearer token, where the server asks for one"},
        },
        "conn-fields": {
            "tracking_uri": {
                "label": "Tracking URI",
                "description": "The server (http://mlflow:5000) or a database URL.",
                "schema": {"type": "string", "minLength": 1},
            },
            "registry_uri": {
                "label": "Registry URI",
                "description": "The model registry, where it is another server.",
                "schema": {"type": ["string", "null"]},
            },
        },
    }

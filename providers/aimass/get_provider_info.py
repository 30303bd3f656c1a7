"""What Airflow learns about this provider: the entry point `apache_airflow_provider`."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description in the shape of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-aimass",
        "name": "AI Mass",
        "description": "A machine-learning platform that lives inside Apache Airflow.",
    }

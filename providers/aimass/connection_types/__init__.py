"""Airflow's connection types of this provider, one module each: the hook, and the form under Admin → Connections.

A module has one function ``connection_type()``, and is found by being here. Every Airflow process reads this when it
starts, so none imports a hook.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any


def connection_types() -> list[dict[str, Any]]:
    """Return every type, as the key ``connection-types`` of Airflow's ``provider.yaml`` describes it."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__, f"{__name__}."))
    return [importlib.import_module(module).connection_type() for module in modules]

"""The ``[aimass]`` section of Airflow's configuration, read when it is needed and never at import."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path

from airflow.sdk import conf

from aimass.core.errors import ConfigError
from aimass.core.failpoints import Failpoints, NoFailpoints

SECTION = "aimass"


def option(name: str) -> str | None:
    """Return the option `name`, or None when it is unset or empty."""
    return (conf.get(SECTION, name, fallback="") or "").strip() or None


def option_list(name: str) -> list[str]:
    """Return the entries of an option that lists them, separated by commas or white space."""
    return [entry for entry in re.split(r"[,\s]+", option(name) or "") if entry]


def default_store() -> str:
    """Return the store's root where neither a connection nor an option names one."""
    return str(Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "aimass")


def failpoints() -> Failpoints:
    """Return the fail points that ``[aimass] failpoints`` names as ``module:callable``; none in production."""
    address = option("failpoints")
    if address is None:
        return NoFailpoints()
    module, _, attribute = address.partition(":")
    try:
        made: Failpoints = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"[aimass] failpoints is {address!r}, which cannot be loaded: {error}",
            expected="module:callable",
            hint="Leave it empty outside crash tests",
        ) from None
    return made

"""The registry that the options name."""

from __future__ import annotations

import os

from aimass.core.deps import Deps, Runtime
from aimass.core.release.base import ModelRegistry
from aimass.core.release.promotion import open_registry
from aimass.core.storage import options_of_environment
from aimass.core.tracking.connection import shown, tracking_uri
from aimass.serving.config import ServeConfig

TRACKING_URI = "MLFLOW_TRACKING_URI"
REGISTRY_URI = "MLFLOW_REGISTRY_URI"


def deps_of(config: ServeConfig) -> Deps:
    """Return the surroundings that the options describe; MLflow reads a token from MLFLOW_TRACKING_TOKEN itself."""
    runtime = Runtime(
        store=config.store or str(config.cache_dir / "store"),
        storage_options=options_of_environment(),
        tracking_uri=config.tracking_uri or os.environ.get(TRACKING_URI) or None,
        registry_uri=config.registry_uri or os.environ.get(REGISTRY_URI) or None,
        spool_dir=str(config.cache_dir / "spool"),
    )
    return Deps.from_runtime(runtime).with_purpose("serve")


def registry_of(config: ServeConfig) -> ModelRegistry:
    """Return the MLflow registry that the options name."""
    return open_registry({"type": "mlflow"}, deps_of(config))


def address_of(config: ServeConfig) -> str:
    """Return the registry's address, as it may be printed; where nobody named one, with a word about that.

    Raises
    ------
    ConfigError
        There is none, or it is of no kind that MLflow serves.
    """
    deps = deps_of(config)
    address = shown(deps.runtime.registry_uri or tracking_uri(deps))
    is_named = deps.runtime.registry_uri or deps.runtime.tracking_uri
    return address if is_named else f"{address} (neither --tracking-uri nor {TRACKING_URI} names another)"

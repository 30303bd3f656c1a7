"""Trackers: where parameters and metrics can be followed while a stage runs."""

from __future__ import annotations

from aimass.core.deps import Deps
from aimass.core.registry import Registry
from aimass.core.tracking.base import Tracker

TRACKERS: Registry[type[Tracker]] = Registry(
    "tracker",
    {
        "mlflow": "aimass.core.tracking.mlflow:MLflowTracker",
        "memory": "aimass.core.testing.tracking:MemoryTracker",
    },
)


def tracker_of(deps: Deps) -> Tracker:
    """Return the tracker that the runtime's `tracking_uri` asks for: the one named by its scheme, else MLflow."""
    scheme = (deps.runtime.tracking_uri or "").partition("://")[0]
    return TRACKERS.load(scheme if scheme in TRACKERS.names() else "mlflow")(deps)

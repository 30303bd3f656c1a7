"""From a fitted model to a released version: the graph, its certificate, the gate, the registry, the ledger."""

from __future__ import annotations

from aimass.core.registry import Registry
from aimass.core.release.base import ModelRegistry

REGISTRIES: Registry[type[ModelRegistry]] = Registry(
    "registry",
    {
        "mlflow": "aimass.core.release.mlflow:MLflowRegistry",
        "memory": "aimass.core.testing.model_registry:MemoryRegistry",
    },
)

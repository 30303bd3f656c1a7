"""A registered model and a server in memory, reached as operators, sensors and triggers reach them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.release.base import METRICS_TAG, ModelRegistry
from aimass.core.release.promotion import open_registry, promote
from aimass.core.testing.endpoints import MemoryEndpoint, MemoryEndpointSettings, Server
from aimass.core.testing.endpoints_contract import served_package

MODEL = "late"
REGISTRY = {"type": "memory"}


@dataclass
class World:
    """What the tests stand on.

    Attributes
    ----------
    deps : Deps
        In the project ``shop``.
    registry : ModelRegistry
        Three versions of `MODEL`; champion is 3, previous 2.
    endpoint : MemoryEndpoint
        The server of the connection ``aimass_serving``.
    folder : Path
        For files.
    """

    deps: Deps
    registry: ModelRegistry
    endpoint: MemoryEndpoint
    folder: Path

    @property
    def server(self) -> Server:
        return self.endpoint.server

    def challenge(self, auc: float) -> str:
        """Register a challenger with that AUC; return its number."""
        version = self.registry.register(served_package(self.folder, MODEL, auc))
        self.registry.set_tags(MODEL, version.version, {METRICS_TAG: json.dumps({"auc": auc})})
        self.registry.set_alias(MODEL, "challenger", version.version)
        return version.version


def make_world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Release three versions, and have a server serve them."""
    store = str(folder / "store")
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", store)
    connect(monkeypatch, "aimass_serving", store=store)
    deps = Deps.from_runtime(Runtime(store=store, project="shop"))
    registry = open_registry(REGISTRY, deps)
    for run, bias in enumerate((0.25, 0.5, 0.75)):
        own = replace(deps, runtime=deps.runtime.model_copy(update={"run_id": f"release-{run}"}))
        promoted = promote(registry, own, served_package(folder, MODEL, bias), alias="champion", why="released")
        registry.set_tags(MODEL, promoted.version.version, {METRICS_TAG: json.dumps({"auc": 0.7})})
    endpoint = MemoryEndpoint(MemoryEndpointSettings(server="aimass_serving", store=deps.store.root))
    return World(deps, registry, endpoint, folder)


def connect(monkeypatch: pytest.MonkeyPatch, conn_id: str, *, store: str) -> None:
    """Let Airflow know a server in memory, by that name."""
    extra = {"type": "memory", "server": conn_id, "store": Deps.from_runtime(Runtime(store=store)).store.root}
    document = {"conn_type": "aimass_serving", "extra": extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(document))


class Instance:
    """A task instance that keeps what is pushed."""

    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


def context(conf: dict[str, Any] | None = None, **others: Any) -> Any:
    """Return what Airflow gives to a task."""
    run = SimpleNamespace(dag_id="d", run_id="manual__1", conf=conf or {}, triggering_user_name="ada", **others)
    return {"dag_run": run, "ti": Instance(), "params": {}, "dag": SimpleNamespace(params={}), "outlet_events": {}}

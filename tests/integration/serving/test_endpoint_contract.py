"""The endpoint's contract against a real server, before a real registry."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.endpoints import Endpoint
from aimass.core.endpoints.http import HttpEndpoint, HttpSettings
from aimass.core.release.base import ModelRegistry
from aimass.core.release.promotion import open_registry
from aimass.core.testing.endpoints_contract import EndpointContract
from aimass.core.tracking.connection import tracking_uri
from tests.services.server import free_port, running

pytestmark = pytest.mark.integration("serving")


@pytest.fixture(scope="module")
def deps(tmp_path_factory: pytest.TempPathFactory) -> Deps:
    return Deps.from_runtime(Runtime(store=str(tmp_path_factory.mktemp("store")), project="flights"))


@pytest.fixture(scope="module")
def registry(deps: Deps) -> ModelRegistry:
    found = open_registry({"type": "mlflow"}, deps)
    found.models()
    return found


@pytest.fixture(scope="module")
def endpoint(deps: Deps, registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    folder: Path = tmp_path_factory.mktemp("server")
    port = free_port()
    options = {
        "port": port,
        "cache-dir": folder / "cache",
        "tracking-uri": tracking_uri(deps),
        "store": deps.store.root,
    }
    command = [sys.executable, "-m", "aimass.serving", *(f"--{name}={value}" for name, value in options.items())]
    server = HttpEndpoint(HttpSettings(url=f"http://127.0.0.1:{port}"))
    with running(command, log=folder / "server.log", is_ready=server.is_ready):
        yield server


class TestServer(EndpointContract):
    pass

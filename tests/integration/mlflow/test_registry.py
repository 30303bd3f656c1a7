"""The registry's contract over HTTP, against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.testing.model_registry_contract import ModelRegistryContract

pytestmark = pytest.mark.integration("mlflow")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the ledger is kept."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def deps(mlflow_url: str, store: Path) -> Deps:
    return Deps.from_runtime(Runtime(store=str(store), project="flights", tracking_uri=mlflow_url))


class TestMLflowServer(ModelRegistryContract):
    kind = "mlflow"

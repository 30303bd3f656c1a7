"""Every model registry keeps the same promises; the fake in memory is one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.testing.model_registry_contract import ModelRegistryContract


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of one database for all tests: making one takes seconds."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def deps(store: Path, request: pytest.FixtureRequest) -> Deps:
    return Deps.from_runtime(Runtime(store=str(store / request.cls.kind), project="flights"))


class TestMemory(ModelRegistryContract):
    kind = "memory"


class TestMLflowOnSQLite(ModelRegistryContract):
    kind = "mlflow"

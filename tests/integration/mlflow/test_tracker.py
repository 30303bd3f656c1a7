"""The tracker's contract over HTTP, against a real server."""

from __future__ import annotations

import pytest

from aimass.core.deps import Deps, Runtime
from tests.unit.core.tracking.test_trackers import TestMLflowOnSQLite as OnSQLite

pytestmark = pytest.mark.integration("mlflow")


class TestMLflowServer(OnSQLite):
    @pytest.fixture
    def deps(self, mlflow_url: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Deps:
        store = str(tmp_path_factory.mktemp("store"))
        return Deps.from_runtime(Runtime(store=store, project=request.node.name, tracking_uri=mlflow_url))


del OnSQLite

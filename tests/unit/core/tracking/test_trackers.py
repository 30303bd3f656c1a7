"""Both trackers keep the same contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from aimass.core.deps import Deps, Runtime
from aimass.core.testing.tracking import MemoryTracker, Recorded, TrackerContract
from aimass.core.tracking.connection import tracking_uri


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of one database for all tests: making one takes seconds."""
    return tmp_path_factory.mktemp("store")


class TestMemoryTracker(TrackerContract):
    @pytest.fixture
    def deps(self, tmp_path: Path) -> Deps:
        return Deps.from_runtime(Runtime(store=str(tmp_path), project="p", tracking_uri=f"memory://{tmp_path}"))

    def recorded(self, deps: Deps) -> list[Recorded]:
        runs = MemoryTracker(deps).runs.values()
        return [
            Recorded(run.status, run.params, {name: sorted(steps.items()) for name, steps in run.metrics.items()})
            for run in runs
        ]


class TestMLflowOnSQLite(TrackerContract):
    @pytest.fixture
    def deps(self, store: Path, request: pytest.FixtureRequest) -> Deps:
        return Deps.from_runtime(Runtime(store=str(store), project=request.node.name))

    def recorded(self, deps: Deps) -> list[Recorded]:
        client = MlflowClient(tracking_uri(deps))
        experiment = client.get_experiment_by_name(deps.project)
        assert experiment is not None
        found = []
        for run in client.search_runs([experiment.experiment_id]):
            history = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
            metrics = {name: [(item.step, item.value) for item in items] for name, items in history.items()}
            found.append(Recorded(run.info.status, run.data.params, metrics))
        return found

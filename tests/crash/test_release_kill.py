"""kill -9 while a model is put into use in MLflow: one version, both aliases, one entry in the ledger."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.release.ledger import Ledger
from aimass.core.tracking.connection import connect, mlflow_errors
from tests.crash.forked import Forks
from tests.crash.release_tasks import promote_task

pytestmark = [pytest.mark.crash, pytest.mark.slow]
POINTS = [
    "before_register",
    "after_register",
    "between_registry_and_alias",
    "between_ledger_and_alias",
    "between_previous_and_alias",
    "between_alias_and_tags",
]
LONGEST_S = 0.8


@pytest.fixture(scope="module")
def deps(tmp_path_factory: pytest.TempPathFactory) -> Deps:
    """Return a store with an MLflow database; its tables are made before anything is killed, as a server would."""
    deps = Deps.from_runtime(Runtime(store=str(tmp_path_factory.mktemp("store")), project="crash"))
    with mlflow_errors(deps):
        connect(deps).search_registered_models()
    return deps


def kills(count: int, seed: int) -> list[str | float]:
    """Return where each release is killed: every fail point in turn, every third time after some seconds."""
    generator = random.Random(seed)
    return [
        generator.uniform(0, LONGEST_S) if number % 3 == 2 else POINTS[(number - number // 3) % len(POINTS)]
        for number in range(count)
    ]


def state(deps: Deps, name: str) -> dict[str, Any]:
    """Return what the outside world sees of a registered model."""
    with mlflow_errors(deps):
        client = connect(deps)
        versions = sorted(str(found.version) for found in client.search_model_versions(f"name='{name}'"))
        aliases = {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}
    moves = [(move.old_version, move.new_version) for move in Ledger(deps, name).entries()]
    return {"versions": versions, "aliases": aliases, "moves": moves}


@pytest.mark.timeout(0)
def test_a_killed_release_that_is_retried_ends_the_same(
    request: pytest.FixtureRequest, deps: Deps, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = max(1, request.config.getoption("--crash-points") // 6)
    forks = Forks(tmp_path)
    drawn = kills(count, request.config.getoption("--crash-seed"))
    for number, where in enumerate(drawn):
        name = f"late{number}"
        common = {"store": deps.runtime.store, "folder": str(tmp_path), "name": name}
        assert forks.run(promote_task, {**common, "bias": 0.25}) == "1"
        second: dict[str, Any] = {**common, "bias": 0.5}
        if isinstance(where, str):
            kill = {"name": where, "nth": 1, "marker": str(tmp_path / f"killed{number}")}
            assert forks.run(promote_task, {**second, "kill": kill}) is None, f"{where} was never reached"
        else:
            forks.run(promote_task, second, kill_after_s=where)
        assert forks.run(promote_task, second) == "2"
        assert state(deps, name) == {
            "versions": ["1", "2"],
            "aliases": {"champion": "2", "previous": "1"},
            "moves": [(None, "1"), ("1", "2")],
        }
    with capsys.disabled():
        print(f"\n{count} releases killed; a kill at any moment may come after the end")
        for label, times in sorted(
            Counter(str(one) if isinstance(one, str) else "any moment" for one in drawn).items()
        ):
            print(f"  {label:<28} {'#' * times} {times}")

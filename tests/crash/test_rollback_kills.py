"""kill -9 of a rollback at every step boundary: tried again, it leads to the same end."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.manifest import find_manifest
from aimass.core.release.base import BAD_TAG
from aimass.core.release.ledger import Ledger
from aimass.core.release.promotion import open_registry
from tests.crash.customers import create_tracking_database
from tests.crash.forked import Forks
from tests.crash.rollback_tasks import PROJECT, release_task, rollback_task

pytestmark = [pytest.mark.crash, pytest.mark.slow]
STEPS = {"after_choose", "after_verify", "after_move", "after_confirm", "after_evidence"}
WITHIN = {
    "between_ledger_and_bad",
    "between_bad_and_alias",
    "between_alias_and_previous",
    "between_previous_and_tags",
    "before_manifest",
    "after_manifest",
}
LONGEST_S = 1.5


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return MLflow's tables, which are made before anything is killed, as a server would."""
    path = tmp_path_factory.mktemp("tracking") / "mlflow.db"
    create_tracking_database(path)
    return path


def released(name: str, folder: Path, database: Path, forks: Forks) -> Deps:
    """Release three versions of a model, the only one of its store and its registry: a server follows all there are."""
    folder.mkdir()
    tracking_uri = f"sqlite:///{shutil.copy(database, folder / 'mlflow.db')}"
    deps = Deps.from_runtime(Runtime(store=folder.as_uri(), project=PROJECT, tracking_uri=tracking_uri))
    forks.run(release_task, {**addresses(deps), "folder": str(folder), "names": [name]})
    return deps


def addresses(deps: Deps) -> dict[str, Any]:
    """Return what a task is told about where it works."""
    return {"store": deps.runtime.store, "tracking_uri": deps.runtime.tracking_uri}


def state(deps: Deps, name: str) -> dict[str, Any]:
    """Return what the outside world sees of a model after its rollback."""
    registry = open_registry({"type": "mlflow"}, deps)
    model = registry.model(name)
    assert model is not None
    folder = deps.store.folder(PROJECT, "rollback")
    manifests = [find_manifest(deps.store, f"{folder}/{key}") for key in deps.store.list(folder)]
    return {
        "aliases": model.aliases,
        "bad": sorted(version.version for version in registry.versions(name) if BAD_TAG in version.tags),
        "moves": [(move.old_version, move.new_version) for move in Ledger(deps, name).entries()],
        "evidence": sum(manifest is not None and manifest.result["model"] == name for manifest in manifests),
    }


ENDED = {
    "aliases": {"champion": "2", "previous": "1"},
    "bad": ["3"],
    "moves": [(None, "1"), ("1", "2"), ("2", "3"), ("3", "2")],
    "evidence": 1,
}


@pytest.mark.timeout(0)
def test_a_killed_rollback_that_is_tried_again_ends_the_same(
    request: pytest.FixtureRequest, database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forks = Forks(tmp_path)
    count = max(len(STEPS | WITHIN), request.config.getoption("--crash-points") // 3)
    names = [f"late{number}" for number in range(count)]
    undisturbed = released("calm", tmp_path / "calm", database, forks)
    calm = forks.run(rollback_task, {**addresses(undisturbed), "name": "calm"})
    assert state(undisturbed, "calm") == ENDED
    assert set(calm["points"]) == STEPS | WITHIN, "every point is one of those at which it is killed"
    generator = random.Random(request.config.getoption("--crash-seed"))
    drawn = [*sorted(STEPS | WITHIN), *(generator.uniform(0.1, LONGEST_S) for _ in names)][:count]
    for name, where in zip(names, drawn, strict=True):
        deps = released(name, tmp_path / name, database, forks)
        asked = {**addresses(deps), "name": name}
        if isinstance(where, str):
            kill = {"name": where, "nth": 1, "marker": str(tmp_path / f"killed-{name}")}
            assert forks.run(rollback_task, {**asked, "kill": kill}) is None, f"{where} was never reached"
        else:
            forks.run(rollback_task, asked, kill_after_s=where)
        again = forks.run(rollback_task, asked)
        assert (again["result"]["left"], again["result"]["target"]) == ("3", "2"), where
        assert state(deps, name) == ENDED, where
    with capsys.disabled():
        print(f"\n{len(drawn)} rollbacks killed; a kill at any moment may come after the end")
        for label, times in sorted(Counter(one if isinstance(one, str) else "any moment" for one in drawn).items()):
            print(f"  {label:<28} {'#' * times} {times}")

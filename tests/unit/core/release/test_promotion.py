from dataclasses import replace
from pathlib import Path

import pytest

from aimass.core.deps import Deps
from aimass.core.errors import GateRefusedError, NotAllowedError, NotFoundError
from aimass.core.release.base import BAD_TAG, METRICS_TAG, TRAFFIC_TAG
from aimass.core.release.gate import GateSettings
from aimass.core.release.ledger import Ledger
from aimass.core.release.promotion import open_registry, promote, promote_challenger, stands
from aimass.core.testing.failpoints import FailAt, RecordingFailpoints
from aimass.core.testing.model_registry_contract import tiny_package
from tests.searching import at, fresh_deps

POINTS = [
    "before_register",
    "after_register",
    "between_registry_and_alias",
    "between_ledger_and_alias",
    "between_previous_and_alias",
    "between_alias_and_tags",
]


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return fresh_deps(tmp_path)


def put_into_use(deps: Deps, folder: Path, bias: float) -> None:
    registry = open_registry({"type": "memory"}, deps)
    promote(registry, deps, tiny_package(folder, "late", bias), alias="champion", why=f"bias {bias}")


def test_every_dangerous_moment_is_a_fail_point(deps: Deps, tmp_path: Path) -> None:
    passed = RecordingFailpoints()
    put_into_use(at(deps, failpoints=passed), tmp_path, 0.25)
    assert passed.names == POINTS


@pytest.mark.parametrize("point", POINTS)
def test_a_promotion_that_stopped_anywhere_ends_the_same(point: str, deps: Deps, tmp_path: Path) -> None:
    put_into_use(deps, tmp_path, 0.25)
    with pytest.raises(KeyboardInterrupt):
        put_into_use(at(deps, failpoints=FailAt(point)), tmp_path, 0.5)
    put_into_use(deps, tmp_path, 0.5)
    registry = open_registry({"type": "memory"}, deps)
    aliases = {alias: registry.aliased("late", alias).version for alias in ("champion", "previous")}
    assert aliases == {"champion": "2", "previous": "1"}
    moves = Ledger(deps, "late").entries()
    assert [(move.old_version, move.new_version) for move in moves] == [(None, "1"), ("1", "2")]


def test_what_stands_is_version_and_digest(deps: Deps, tmp_path: Path) -> None:
    put_into_use(deps, tmp_path, 0.25)
    registry = open_registry({"type": "memory"}, deps)
    digest = tiny_package(tmp_path, "late", 0.25).digest
    assert stands(registry, name="late", alias="champion", version="1", digest=digest)
    assert not stands(registry, name="late", alias="champion", version="1", digest="0" * 64)
    assert not stands(registry, name="late", alias="challenger", version="1", digest=digest)


def test_another_projects_model_is_not_taken_over(deps: Deps, tmp_path: Path) -> None:
    put_into_use(deps, tmp_path, 0.25)
    stranger = replace(deps, runtime=deps.runtime.model_copy(update={"project": "file.late"}))
    with pytest.raises(NotAllowedError, match=rf"registered by the project '{deps.project}'.*'file\.late'"):
        put_into_use(stranger, tmp_path, 0.5)
    registry = open_registry({"type": "memory"}, deps)
    assert [one.version for one in registry.versions("late")] == ["1"]
    assert registry.aliased("late", "champion").version == "1"


def release(deps: Deps, folder: Path, bias: float, *, auc: float, alias: str) -> None:
    package = tiny_package(folder, "late", bias)
    tags = {METRICS_TAG: f'{{"auc": {auc}}}'}
    promote(open_registry({"type": "memory"}, deps), deps, replace(package, tags=tags), alias=alias, why="a release")


def test_a_challenger_takes_nothing_from_the_champion(deps: Deps, tmp_path: Path) -> None:
    release(deps, tmp_path, 0.25, auc=0.7, alias="champion")
    for bias in (0.5, 0.75):
        release(deps, tmp_path, bias, auc=0.8, alias="challenger")
    model = open_registry({"type": "memory"}, deps).model("late")
    assert model is not None
    assert model.aliases == {"champion": "1", "challenger": "3"}


@pytest.mark.parametrize("point", [None, *POINTS[3:], "between_promotion_and_traffic"])
def test_a_challenger_becomes_the_champion_wherever_it_was_stopped(
    deps: Deps, tmp_path: Path, point: str | None
) -> None:
    release(deps, tmp_path, 0.25, auc=0.7, alias="champion")
    release(deps, tmp_path, 0.5, auc=0.8, alias="challenger")
    registry = open_registry({"type": "memory"}, deps)
    registry.set_model_tags("late", {TRAFFIC_TAG: '{"champion": 0.9, "challenger": 0.1}'})
    run = replace(deps, runtime=deps.runtime.model_copy(update={"run_id": "promotion"}))
    if point is not None:
        with pytest.raises(KeyboardInterrupt):
            promote_challenger(registry, at(run, failpoints=FailAt(point)), "late", GateSettings(), why="better")
    for _ in range(2):
        assert promote_challenger(registry, run, "late", GateSettings(), why="better").version.version == "2"
    model = registry.model("late")
    assert model is not None
    assert model.aliases == {"champion": "2", "previous": "1"}
    assert TRAFFIC_TAG not in model.tags
    assert len([move for move in Ledger(deps, "late").entries() if move.alias == "champion"]) == 2


def test_a_challenger_must_pass_the_gate(deps: Deps, tmp_path: Path) -> None:
    release(deps, tmp_path, 0.25, auc=0.8, alias="champion")
    release(deps, tmp_path, 0.5, auc=0.7, alias="challenger")
    registry = open_registry({"type": "memory"}, deps)
    with pytest.raises(GateRefusedError, match=r"Version 2 .* is not promoted: .*at most 0\.02 worse"):
        promote_challenger(registry, deps, "late", GateSettings(), why="better")
    registry.set_tags("late", "2", {METRICS_TAG: '{"auc": 0.9}', BAD_TAG: "it was slow"})
    with pytest.raises(GateRefusedError, match=r"rolled back \(it was slow\)"):
        promote_challenger(registry, deps, "late", GateSettings(), why="better")
    assert registry.aliased("late", "champion").version == "1"


def test_without_a_challenger_nothing_is_promoted(deps: Deps, tmp_path: Path) -> None:
    release(deps, tmp_path, 0.25, auc=0.7, alias="champion")
    other = replace(deps, runtime=deps.runtime.model_copy(update={"run_id": "other"}))
    with pytest.raises(NotFoundError, match="has no challenger"):
        promote_challenger(open_registry({"type": "memory"}, deps), other, "late", GateSettings(), why="better")

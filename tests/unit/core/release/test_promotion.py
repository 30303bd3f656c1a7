from dataclasses import replace
from pathlib import Path

import pytest

from aimass.core.deps import Deps
from aimass.core.errors import NotAllowedError
from aimass.core.release.ledger import Ledger
from aimass.core.release.promotion import open_registry, promote, stands
from aimass.core.testing.failpoints import FailAt, RecordingFailpoints
from aimass.core.testing.model_registry_contract import tiny_package
from tests.searching import at, make_deps

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
    return make_deps(tmp_path / "store")


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

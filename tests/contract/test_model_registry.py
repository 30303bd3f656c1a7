"""Every model registry keeps the same promises; the fake in memory is one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.errors import NotFoundError
from aimass.core.release.ledger import Ledger
from aimass.core.release.promotion import open_registry, promote
from aimass.core.tracking.connection import tracking_uri
from tests.releasing import tiny_package


@pytest.fixture(scope="module", params=["memory", "mlflow"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def deps(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Deps:
    return Deps.from_runtime(Runtime(store=str(tmp_path_factory.mktemp(kind)), project="flights"))


@pytest.fixture(scope="module")
def registry(kind: str, deps: Deps) -> Any:
    return open_registry({"type": kind}, deps)


def test_registering_twice_leaves_one_version(registry: Any, tmp_path: Path) -> None:
    one = tiny_package(tmp_path, "once", 0.25)
    first, second = registry.register(one), registry.register(one)
    assert first.version == second.version == "1"
    assert registry.find("once", one.digest).digest == one.digest
    assert first.tags["aimass.dataset"] == "abc"


def test_another_digest_is_another_version(registry: Any, tmp_path: Path) -> None:
    versions = [registry.register(tiny_package(tmp_path, "twice", bias)).version for bias in (0.25, 0.5)]
    assert versions == ["1", "2"]


def test_what_is_unknown_is_none(registry: Any) -> None:
    assert registry.find("nobody", "0" * 64) is None
    assert registry.aliased("nobody", "champion") is None


def test_an_alias_moves_and_may_be_set_again(registry: Any, tmp_path: Path) -> None:
    first, second = (registry.register(tiny_package(tmp_path, "moving", bias)) for bias in (0.25, 0.5))
    assert registry.aliased("moving", "champion") is None
    for version in (first, second, second):
        registry.set_alias("moving", "champion", version.version)
        assert registry.aliased("moving", "champion").version == version.version


def test_an_alias_needs_a_version(registry: Any, tmp_path: Path) -> None:
    registry.register(tiny_package(tmp_path, "short", 0.25))
    with pytest.raises(NotFoundError, match=r"'short'.*99"):
        registry.set_alias("short", "champion", "99")


def test_tags_are_added_and_replaced(registry: Any, tmp_path: Path) -> None:
    version = registry.register(tiny_package(tmp_path, "tagged", 0.25))
    registry.set_tags("tagged", version.version, {"a": "1", "b": "2"})
    registry.set_tags("tagged", version.version, {"a": "3"})
    tags = registry.find("tagged", version.digest).tags
    assert (tags["a"], tags["b"], tags["aimass.dataset"]) == ("3", "2", "abc")


def test_promotion_keeps_previous_and_the_ledger(registry: Any, deps: Deps, tmp_path: Path) -> None:
    for bias in (0.25, 0.5, 0.5):
        done = promote(registry, deps, tiny_package(tmp_path, "promoted", bias), alias="champion", why=f"bias {bias}")
    assert registry.aliased("promoted", "champion").version == done.version.version == "2"
    assert registry.aliased("promoted", "previous").version == "1"
    assert [(move.old_version, move.new_version) for move in Ledger(deps, "promoted").entries()] == [
        (None, "1"),
        ("1", "2"),
    ]
    assert "bias 0.5" in registry.find("promoted", done.version.digest).tags["aimass.moved.champion"]


def test_clients_load_the_alias_by_pyfunc(kind: str, registry: Any, deps: Deps, tmp_path: Path) -> None:
    """What users do: load ``models:/name@champion``, predict the example, one row, and a missing value."""
    if kind == "memory":
        pytest.skip("the registry in memory has nothing that MLflow could load")
    import mlflow.pyfunc

    promote(registry, deps, tiny_package(tmp_path, "loaded", 0.25), alias="champion", why="a test")
    mlflow.set_tracking_uri(tracking_uri(deps))
    model = mlflow.pyfunc.load_model("models:/loaded@champion")
    expected = 1 / (1 + np.exp([-1.25, np.nan]))
    assert model.predict(model.input_example)["probability"] == pytest.approx(expected, rel=1e-6, nan_ok=True)
    row = {"origin": np.array(["LGA"], dtype=object), "distance": np.array([0.0])}
    assert model.predict(row)["probability"] == pytest.approx([0.5])
    assert [one.name for one in model.metadata.signature.inputs.inputs] == ["origin", "distance"]

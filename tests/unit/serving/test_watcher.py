from __future__ import annotations

from pathlib import Path

import pytest

from aimass.core.errors import CorruptDataError, NotFoundError
from aimass.core.release.base import RegisteredModel
from aimass.serving.watcher import FILES, Watcher, traffic_of
from tests.services.folder_registry import FolderRegistry


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    registry = FolderRegistry(tmp_path / "registry")
    for name in ("early", "late"):
        registry.add(name, 0.1)
        registry.set_alias(name, "champion", "1")
    return registry


def test_active_models_come_with_versions_and_the_others_with_aliases(registry: FolderRegistry) -> None:
    registry.set_tags("late", "1", {"aimass.state": "deprecated"})
    table = Watcher(registry).look(lambda name: name == "late")
    assert table.models["late"].versions["1"].state == "deprecated"
    assert table.models["early"].aliases == {"champion": "1"}
    assert table.models["early"].versions == {}


def test_models_that_are_off_or_were_not_asked_for_are_left_out(registry: FolderRegistry) -> None:
    assert set(Watcher(registry, ["early"]).look(lambda _: True).models) == {"early"}
    registry.set_model_tags("late", {"aimass.serve": "off"})
    assert set(Watcher(registry).look(lambda _: True).models) == {"early"}
    assert Watcher(registry).look_at("late") is None
    assert Watcher(registry).look_at("nobody") is None


def test_a_version_is_fetched_only_if_it_is_what_was_seen(registry: FolderRegistry, tmp_path: Path) -> None:
    watcher = Watcher(registry)
    found = watcher.look_for("late", "1")
    assert found is not None
    watcher.fetch("late", "1", found.digest, tmp_path)
    assert all((tmp_path / name).is_file() for name in FILES)
    with pytest.raises(CorruptDataError, match="digest"):
        watcher.fetch("late", "1", "0" * 64, tmp_path)
    with pytest.raises(NotFoundError, match="no version 9"):
        watcher.fetch("late", "9", found.digest, tmp_path)


@pytest.mark.parametrize(
    ("tag", "shares"),
    [
        ("", {}),
        ('{"champion": 3, "challenger": 1}', {"champion": 0.75, "challenger": 0.25}),
        ('{"champion": 1, "challenger": 0}', {"champion": 1.0}),
        ('{"champion": 1, "winner": 1}', {}),
        ('{"champion": -1, "challenger": 2}', {}),
        ('{"champion": NaN}', {}),
        ('{"champion": "much"}', {}),
        ("{}", {}),
        ("[1]", {}),
        ("half", {}),
    ],
)
def test_shares_of_traffic_sum_to_one_and_nonsense_is_left_aside(tag: str, shares: dict[str, float]) -> None:
    model = RegisteredModel("late", "flights", {"champion": "1", "challenger": "2"}, {"aimass.traffic": tag})
    assert traffic_of(model) == shares

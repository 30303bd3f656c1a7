from __future__ import annotations

import pytest

from aimass.core.errors import ConfigError, MissingDependencyError, UnknownNameError
from aimass.core.registry import Registry


def test_load_imports_only_when_asked() -> None:
    registry: Registry[object] = Registry("thing", {"here": "json:loads", "broken": "no_such_package_x:Y"})
    import json

    assert registry.load("here") is json.loads
    with pytest.raises(MissingDependencyError, match="no_such_package_x"):
        registry.load("broken")


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError) as raised:
        Registry[object]("thing", {"b": "json:x", "a": "json:y"}).load("c")
    assert raised.value.known == ["a", "b"]


def test_register_refuses_another_address_for_a_taken_name() -> None:
    registry: Registry[object] = Registry("thing", {"a": "json:loads"})
    registry.register("a", "json:loads")
    with pytest.raises(ConfigError, match="already registered"):
        registry.register("a", "json:dumps")


def test_every_shipped_name_can_be_loaded() -> None:
    from aimass.core.sources import SOURCES
    from aimass.core.splitting import SPLITTERS

    for registry in (SOURCES, SPLITTERS):
        for name in registry.names():
            assert registry.load(name).Settings.model_fields

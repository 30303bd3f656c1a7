"""Every configuration is frozen, refuses unknown keys and explains each field: it makes form, schema and docs."""

from __future__ import annotations

import importlib
import inspect

import pytest
from pydantic import BaseModel

from tests.architecture.source_tree import modules


def configs() -> list[type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {}
    for module in modules("providers/aimass/core"):
        if module.path.stem == "__main__" or ("BaseModel" not in module.source and "Config" not in module.source):
            continue
        for _, member in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(member, BaseModel) and member.__module__.startswith("aimass."):
                found[f"{member.__module__}.{member.__qualname__}"] = member
    return [found[key] for key in sorted(found)]


@pytest.mark.parametrize("model", configs(), ids=lambda model: model.__name__)
def test_every_field_is_described(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("model", [m for m in configs() if m.__name__.endswith("Config")], ids=lambda m: m.__name__)
def test_a_config_is_frozen_and_refuses_unknown_keys(model: type[BaseModel]) -> None:
    assert model.model_config.get("frozen") is True
    assert model.model_config.get("extra") == "forbid"

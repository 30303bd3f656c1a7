"""Every configuration is frozen, refuses unknown keys and explains each field: it makes form, schema and docs."""

from __future__ import annotations

import importlib
import inspect

import pytest
from pydantic import BaseModel

from aimass.core.settings import Settings
from tests.architecture.source_tree import modules


@pytest.fixture(scope="module")
def models() -> list[type[BaseModel]]:
    """Every pydantic model that core defines."""
    found = set()
    for module in modules("providers/aimass/core"):
        if module.path.stem != "__main__":
            members = vars(importlib.import_module(module.name)).values()
            found |= {member for member in members if inspect.isclass(member) and issubclass(member, BaseModel)}
    return sorted((model for model in found if model.__module__.startswith("aimass.")), key=str)


def test_every_field_is_described(models: list[type[BaseModel]]) -> None:
    blank = [
        f"{model.__name__}.{name}"
        for model in models
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert blank == []


def test_what_users_write_is_frozen_and_refuses_unknown_keys(models: list[type[BaseModel]]) -> None:
    loose = [
        model.__name__
        for model in models
        if issubclass(model, Settings)
        and (not model.model_config.get("frozen") or model.model_config.get("extra") != "forbid")
    ]
    assert loose == []

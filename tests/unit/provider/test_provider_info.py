from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

import aimass.operators
from aimass.core.stages import STAGES
from aimass.get_provider_info import get_provider_info
from aimass.operators.stage import StageOperator

SCHEMAS = Path(airflow.__file__).parent


def schema(name: str) -> dict[str, Any]:
    return dict(json.loads((SCHEMAS / name).read_text()))


def attribute(address: str) -> Any:
    module, _, name = address.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_info_fits_airflows_schema() -> None:
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


def test_connection_forms_fit_the_stricter_schema() -> None:
    strict = schema("provider.yaml.schema.json")
    part = {**strict["properties"]["connection-types"], "definitions": strict.get("definitions", {})}
    jsonschema.validate(get_provider_info()["connection-types"], part)


def test_every_address_leads_somewhere() -> None:
    info = get_provider_info()
    for kind in ("operators", "hooks", "sensors", "triggers"):
        for entry in info[kind]:
            for module in entry["python-modules"]:
                importlib.import_module(module)
    for address in [*info["extra-links"], *info["cli"], *info["notifications"]]:
        assert callable(attribute(address))
    for entry in info["asset-uris"]:
        assert callable(attribute(entry["handler"]))
        assert callable(attribute(entry["factory"]))


@pytest.mark.parametrize("entry", get_provider_info()["connection-types"], ids=lambda entry: entry["connection-type"])
def test_hook_and_form_name_the_same_connection(entry: dict[str, Any]) -> None:
    hook = attribute(entry["hook-class-name"])
    assert hook.conn_type == entry["connection-type"]
    assert hook.hook_name == entry["hook-name"]


def test_extra_links_of_operators_are_declared() -> None:
    declared = set(get_provider_info()["extra-links"])
    used = {
        f"{type(link).__module__}.{type(link).__name__}"
        for operator in operators()
        for link in operator.operator_extra_links
    }
    assert used == declared


def test_every_stage_has_an_operator() -> None:
    # The evidence of a rollback is written down by the last step of RollbackOperator.
    assert {operator.stage for operator in operators()} | {"rollback"} == set(STAGES.names())


def operators() -> list[type[StageOperator]]:
    found = []
    for info in pkgutil.iter_modules(aimass.operators.__path__, "aimass.operators."):
        module = importlib.import_module(info.name)
        found += [
            member
            for member in vars(module).values()
            if isinstance(member, type) and issubclass(member, StageOperator) and member is not StageOperator
        ]
    return found

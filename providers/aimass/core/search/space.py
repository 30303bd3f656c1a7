"""What is searched: each family's own space, with the bounds that the configuration sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aimass.core.errors import ConfigError, UnknownNameError
from aimass.core.models import MODELS
from aimass.core.models.base import Dimension
from aimass.core.settings import parse_settings

Overrides = Mapping[str, Mapping[str, Any]]
"""By family and hyper-parameter: a value that fixes it, or a mapping with low, high, log, choices that bounds it."""


def build_space(families: Sequence[str], overrides: Overrides) -> dict[str, list[Dimension]]:
    """Return the dimensions of each family, in the order of `families`.

    Raises
    ------
    UnknownNameError
        A family that nobody registered, or an override for something that its model does not have.
    ConfigError
        Bounds that are upside down, or that miss.
    """
    for family in overrides:
        if family not in families:
            raise UnknownNameError("family in `space`", family, families)
    return {family: _dimensions(family, overrides.get(family, {})) for family in families}


def fixed_values(overrides: Overrides, family: str) -> dict[str, Any]:
    """Return the hyper-parameters of `family` that the configuration fixes."""
    return {name: value for name, value in overrides.get(family, {}).items() if not isinstance(value, dict)}


def _dimensions(family: str, overrides: Mapping[str, Any]) -> list[Dimension]:
    model = MODELS.load(family)
    own = {dimension.name: dimension for dimension in model.space()}
    for name, value in overrides.items():
        if name not in model.Settings.model_fields:
            raise UnknownNameError(f"hyper-parameter of {family}", name, model.Settings.model_fields)
        if isinstance(value, dict):
            own[name] = _bounded(family, own.get(name), name, value)
        else:
            own.pop(name, None)
    return list(own.values())


def _bounded(family: str, own: Dimension | None, name: str, bounds: Mapping[str, Any]) -> Dimension:
    where = f"the space of {family}.{name}"
    document = {**(own.model_dump() if own else {"name": name}), **bounds}
    if "choices" in bounds:
        document |= {"kind": "categorical", "low": None, "high": None, "log": False}
    dimension = parse_settings(Dimension, document, where=where)
    if dimension.kind == "categorical":
        if not dimension.choices:
            raise ConfigError(f"In {where}: no choices are given", expected="choices, a list of values")
    elif dimension.low is None or dimension.high is None or dimension.low > dimension.high:
        raise ConfigError(f"In {where}: low is {dimension.low} and high is {dimension.high}", expected="low <= high")
    elif dimension.log and dimension.low <= 0:
        raise ConfigError(f"In {where}: low is {dimension.low}", expected="more than 0, since the scale is logarithmic")
    return dimension

"""Describe a configuration model to people: one entry per field, made from the model itself."""

from __future__ import annotations

import textwrap
import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from aimass.core.backends import BackendOf

if typing.TYPE_CHECKING:
    from pydantic.fields import FieldInfo

WIDTH = 100


def describe_fields(model: type[BaseModel], *, indent: int = 2) -> Iterator[str]:
    """Yield lines ``name: type = default``, each with its description; nested models and backends are indented."""
    margin = " " * indent
    for name, info in model.model_fields.items():
        yield f"{margin}{name}: {_type_name(info.annotation)}{_default(info)}"
        yield from textwrap.wrap(
            info.description or "", WIDTH, initial_indent=f"{margin}    ", subsequent_indent=f"{margin}    "
        )
        for nested in _models(info.annotation):
            yield from describe_fields(nested, indent=indent + 4)
        for marker in info.metadata:
            if isinstance(marker, BackendOf):
                yield from _backends(marker, indent + 4)


def _backends(marker: BackendOf, indent: int) -> Iterator[str]:
    for name in marker.registry.names():
        settings = marker.registry.load(name).Settings
        yield f"{' ' * indent}{marker.key}: {name} ({(settings.__doc__ or '').splitlines()[0].rstrip('.')})"
        yield from describe_fields(settings, indent=indent + 4)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return " (required)"
    value = info.get_default(call_default_factory=True)
    return f" = {value!r}"


def _type_name(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    inner = [_type_name(part) for part in typing.get_args(annotation) if part is not ...]
    if annotation is type(None):
        return "null"
    if origin is typing.Literal:
        return " | ".join(str(value) for value in typing.get_args(annotation))
    if origin is typing.Annotated:
        return inner[0]
    if origin in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(inner))
    if origin in (tuple, list, set, frozenset):
        return f"list of {inner[0]}"
    if origin is dict:
        return f"mapping of {inner[0]} to {inner[1]}"
    return {"Any": "any"}.get(getattr(annotation, "__name__", ""), getattr(annotation, "__name__", str(annotation)))


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in typing.get_args(annotation) for found in _models(part)]

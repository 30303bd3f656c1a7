"""Configuration models: frozen, strict, and with mistakes named by key and nearest valid name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from aimass.core.errors import ConfigError, nearest_name

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


class _Marker:
    """A note on a configuration field, found by `StageConfig`."""


class InputMarker(_Marker):
    """The field names a published output; its content's digest, not its address, goes into the key."""


class OutsideKeyMarker(_Marker):
    """The field does not change the output, so it stays out of the key."""


class LocationMarker(_Marker):
    """The field is a free path or URI: a trigger's `conf` may set it only inside the allowed roots."""


class ConnectionMarker(_Marker):
    """The field names a connection; its addresses and secrets come with the runtime, never with the configuration."""


InputUri = Annotated[str, InputMarker()]
"""URI of a published dataset or artifact."""

Location = Annotated[str, LocationMarker()]
"""A path or URI outside our own store."""

ConnectionId = Annotated[str, ConnectionMarker()]
"""The name of a connection: Airflow's connection id; without Airflow a key of the runtime's `connections`."""

OUTSIDE_KEY = OutsideKeyMarker()
"""Use as ``Annotated[int, OUTSIDE_KEY]``."""


class Settings(BaseModel):
    """Base of every configuration model: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def has_marker(info: FieldInfo, marker: type[_Marker]) -> bool:
    """Return whether a field was annotated with `marker`."""
    return any(isinstance(item, marker) for item in info.metadata)


def given(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `document` that say something: a form or a template leaves null or nothing elsewhere."""
    return {name: value for name, value in document.items() if value not in (None, "", [])}


S = TypeVar("S", bound=BaseModel)


def parse_settings(model: type[S], document: Any, *, where: str, is_secret: bool = False) -> S:
    """Validate `document` against `model`; of one that is secret, no value is told.

    Raises
    ------
    ConfigError
        Lists each mistake as ``key: what is wrong``, with the nearest valid key for an unknown one; the parts
        are in ``details["mistakes"]``.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        mistakes = [_mistake(model, item, is_secret=is_secret) for item in error.errors()]
        lines = "; ".join(f"{key}: {text}" for key, text in mistakes)
        raise ConfigError(f"In {where}: {lines}", mistakes=mistakes) from None


def _mistake(model: type[BaseModel], item: Any, *, is_secret: bool) -> tuple[str, str]:
    key = ".".join(str(part) for part in item["loc"]) or "(whole document)"
    if item["type"] == "extra_forbidden":
        known = list(_model_at(model, item["loc"][:-1]).model_fields)
        nearest = nearest_name(str(item["loc"][-1]), known)
        hint = f"did you mean {nearest!r}?" if nearest else f"known: {', '.join(known)}"
        return key, f"unknown key, {hint}"
    if item["type"] == "missing":
        return key, "is required"
    said = item["msg"].removeprefix("Value error, ")
    return key, said if is_secret else f"{said} (seen: {repr(item.get('input'))[:80]})"


def _model_at(model: type[BaseModel], path: Sequence[Any]) -> type[BaseModel]:
    """Follow a pydantic error location down to the model it points into, as far as types allow."""
    for step in path:
        candidates = _models_in(model.model_fields[step].annotation) if step in model.model_fields else []
        if candidates:
            model = candidates[0]
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _models_in(inner)]

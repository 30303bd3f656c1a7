"""From a document such as ``{type: files, uri: …}`` to the backend it names and that backend's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from aimass.core.errors import ConfigError
from aimass.core.registry import Registry
from aimass.core.settings import Settings, parse_settings


class HasSettings(Protocol):
    """A backend class: its settings model stands beside it."""

    Settings: type[Settings]


B = TypeVar("B", bound=HasSettings)


@dataclass(frozen=True)
class BackendOf:
    """A note on a configuration field that holds a backend's document, so that help and forms can list the choices.

    Attributes
    ----------
    registry : Registry
        The family.
    key : str
        The key that names the backend.
    """

    registry: Registry[Any]
    key: str = "type"


def backend_of(registry: Registry[B], document: Any, *, key: str = "type") -> tuple[B, Any]:
    """Return the backend that ``document[key]`` names, and the rest of `document` as its validated settings.

    Raises
    ------
    ConfigError
        The document is not a mapping, names no backend, names an unknown one, or a setting is wrong.
    """
    if not isinstance(document, dict) or not isinstance(document.get(key), str):
        raise ConfigError(
            f"A {registry.family} is given as {document!r}"[:200],
            expected=f"a mapping with the key {key!r}",
            known=registry.names(),
        )
    backend = registry.load(document[key])
    rest = {name: value for name, value in document.items() if name != key}
    return backend, parse_settings(backend.Settings, rest, where=f"the {registry.family} {document[key]!r}")

"""The one registry: a family's names, each the address of a class that is imported when first asked for."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from aimass.core.errors import ConfigError, MissingDependencyError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Map the names of a family to lazily imported objects.

    Parameters
    ----------
    family : str
        What the names are, in the singular (``"source"``); third parties add theirs by the entry point
        group ``aimass.<family>``.
    addresses : mapping of str to str
        ``name -> "module:attribute"`` of the backends that ship with AI Mass.
    """

    def __init__(self, family: str, addresses: Mapping[str, str]) -> None:
        self.family = family
        self._addresses = dict(addresses)
        self._entry_points_read = False

    def register(self, name: str, address: str) -> None:
        """Add `name`; a name that is taken is an error, never an overwrite."""
        known = self._known()
        if known.get(name, address) != address:
            raise ConfigError(f"The {self.family} {name!r} is already registered as {known[name]}, not {address}")
        self._addresses[name] = address

    def names(self) -> list[str]:
        """Return every known name, sorted."""
        return sorted(self._known())

    def load(self, name: str) -> T:
        """Import and return the object called `name`.

        Raises
        ------
        UnknownNameError
            Nobody registered that name; the message lists the known ones.
        MissingDependencyError
            The backend's own package is not installed.
        """
        known = self._known()
        if name not in known:
            raise UnknownNameError(self.family, name, known)
        module, _, attribute = known[name].partition(":")
        try:
            found: Any = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name and error.name.startswith("aimass"):
                raise
            raise MissingDependencyError(error.name or module) from error
        return found  # type: ignore[no-any-return]

    def _known(self) -> dict[str, str]:
        if not self._entry_points_read:
            self._entry_points_read = True
            for entry in _entry_points().select(group=f"aimass.{self.family}"):
                self.register(entry.name, entry.value)
        return self._addresses


@functools.cache
def _entry_points() -> Any:
    """Return those of all installed packages: to look through hundreds for each family costs every task time."""
    return entry_points()

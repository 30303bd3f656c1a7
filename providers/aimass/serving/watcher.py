"""What the registry asks for, read from it: aliases, traffic, and the states of versions."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, cast, get_args

from aimass.core.errors import CorruptDataError, NotFoundError
from aimass.core.release.base import SERVE_TAG, STATE_TAG, TRAFFIC_TAG, ModelRegistry, RegisteredModel, Version
from aimass.serving.state import ModelEntry, State, Table, VersionRef

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("model.onnx", "graph.json")
SHA256 = re.compile(r"^[0-9a-f]{64}$")

log = logging.getLogger(__name__)


class Watcher:
    """Reads the registry; every method blocks, and raises as `ModelRegistry` says.

    Parameters
    ----------
    registry : ModelRegistry
        The registry.
    names : collection of str
        The models that may be served; empty means all.
    """

    def __init__(self, registry: ModelRegistry, names: Collection[str] = ()) -> None:
        self._registry = registry
        self._names = frozenset(names)

    def look(self, is_active: Callable[[str], bool]) -> Table:
        """Return every model that may be served; with versions where it is active, with aliases only elsewhere."""
        found = [model for model in self._registry.models() if self._is_served(model)]
        return Table(models={model.name: self._entry(model, whole=is_active(model.name)) for model in found})

    def look_at(self, name: str) -> ModelEntry | None:
        """Return one model with its versions, or None where there is none to serve."""
        model = self._registry.model(name)
        return self._entry(model, whole=True) if model is not None and self._is_served(model) else None

    def look_for(self, name: str, version: str) -> VersionRef | None:
        """Return one version, or None."""
        found = self._registry.version(name, version)
        return _reference(found) if found is not None else None

    def fetch(self, name: str, version: str, digest: str, folder: Path) -> None:
        """Download what a server needs of a version into `folder`."""
        found = self._registry.version(name, version)
        if found is None:
            raise NotFoundError(f"The model {name!r} has no version {version}", hint="Point the alias at another one")
        if found.digest != digest:
            raise CorruptDataError(f"{found.uri} has the digest {found.digest[:12]}…", expected=f"{digest[:12]}…")
        self._registry.fetch(found, FILES, folder)

    def _is_served(self, model: RegisteredModel) -> bool:
        return (not self._names or model.name in self._names) and model.tags.get(SERVE_TAG) != "off"

    def _entry(self, model: RegisteredModel, *, whole: bool) -> ModelEntry:
        versions: dict[str, VersionRef] = {}
        if whole:
            versions = {found.version: _reference(found) for found in self._registry.versions(model.name)}
            for number in set(model.aliases.values()) - versions.keys():
                # Older than the newest hundred.
                found = self.look_for(model.name, number)
                versions |= {number: found} if found is not None else {}
        return ModelEntry(model.project, dict(model.aliases), versions, traffic_of(model))


def _reference(version: Version) -> VersionRef:
    state = version.tags.get(STATE_TAG, "active")
    return VersionRef(version.digest, cast("State", state) if state in get_args(State) else "active")


def traffic_of(model: RegisteredModel) -> dict[str, float]:
    """Return the share of each alias, which sum to 1; empty where the tag is absent or says nothing sensible."""
    text = model.tags.get(TRAFFIC_TAG, "")
    if not text:
        return {}
    try:
        weights = {str(alias): float(weight) for alias, weight in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        weights = {}
    total = sum(weights.values())
    if not (0 < total < float("inf")) or min(weights.values()) < 0 or not weights.keys() <= model.aliases.keys():
        log.warning(
            "the tag %s of %s is left aside: it is %s, expected shares of its aliases %s, such as %s",
            TRAFFIC_TAG, model.name, text[:200], sorted(model.aliases), '{"champion": 0.9, "challenger": 0.1}',
        )  # fmt: skip
        return {}
    return {alias: weight / total for alias, weight in weights.items() if weight > 0}

"""A model registry in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.errors import NotFoundError
from aimass.core.release.base import DIGEST_TAG, NEWEST_VERSIONS, Package, RegisteredModel, Version


class MemorySettings(settings.Settings):
    """The registry in memory has nothing to set."""


@dataclass
class _Model:
    project: str = ""
    versions: dict[str, Version] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


_SERVERS: dict[str, dict[str, _Model]] = {}
"""The models by the store that they belong to: two registries on one store see the same, as with a server."""


class MemoryRegistry:
    """Keeps versions and aliases as long as the process lives."""

    Settings: ClassVar[type[settings.Settings]] = MemorySettings

    def __init__(self, settings: MemorySettings, deps: Deps) -> None:
        self.settings = settings
        self._deps = deps
        self._models = _SERVERS.setdefault(deps.store.root, {})

    def find(self, name: str, digest: str) -> Version | None:
        """Return the oldest version of `name` with that digest, or None."""
        model = self._models.get(name, _Model())
        return next((version for version in model.versions.values() if version.digest == digest), None)

    def register(self, package: Package) -> Version:
        """Return the version with the package's digest; it is made where there is none."""
        found = self.find(package.name, package.digest)
        if found is not None:
            return found
        package.outputs()
        self._deps.failpoints.hit("before_register")
        model = self._models.setdefault(package.name, _Model(self._deps.project))
        number = str(len(model.versions) + 1)
        tags = {**package.tags, DIGEST_TAG: package.digest}
        uri = f"models:/{package.name}/{number}"
        model.versions[number] = Version(package.name, number, package.digest, tags, uri, self._deps.clock())
        self._deps.failpoints.hit("after_register")
        return model.versions[number]

    def models(self) -> list[RegisteredModel]:
        """Return every registered model, by name."""
        return [_registered(name, model) for name, model in sorted(self._models.items())]

    def model(self, name: str) -> RegisteredModel | None:
        """Return the model called `name`, or None."""
        return _registered(name, self._models[name]) if name in self._models else None

    def versions(self, name: str, *, limit: int = NEWEST_VERSIONS) -> list[Version]:
        """Return the versions of `name`, the newest first, at most `limit`; none where there is no such model."""
        return list(self._models.get(name, _Model()).versions.values())[::-1][:limit]

    def aliased(self, name: str, alias: str) -> Version | None:
        """Return the version that `alias` points at, or None."""
        model = self._models.get(name, _Model())
        return model.versions.get(model.aliases.get(alias, ""))

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point `alias` at `version`."""
        self._version(name, version)
        self._models[name].aliases[alias] = version

    def set_tags(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags of a version."""
        found = self._version(name, version)
        self._models[name].versions[version] = replace(found, tags={**found.tags, **tags})

    def _version(self, name: str, version: str) -> Version:
        model = self._models.get(name, _Model())
        if version not in model.versions:
            raise NotFoundError(f"The model {name!r} has no version {version}", known=model.versions)
        return model.versions[version]


def _registered(name: str, model: _Model) -> RegisteredModel:
    return RegisteredModel(name, model.project, dict(model.aliases))

"""A model registry in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.errors import NotFoundError
from aimass.core.release.base import (
    DIGEST_TAG,
    GRAPH_FILE,
    NEWEST_VERSIONS,
    PROJECT_TAG,
    Package,
    RegisteredModel,
    Version,
    check_graph,
)


class MemorySettings(settings.Settings):
    """The registry in memory has nothing to set."""


@dataclass
class _Model:
    tags: dict[str, str] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
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
        model = self._models.setdefault(package.name, _Model({PROJECT_TAG: self._deps.project}))
        number = str(len(model.versions) + 1)
        tags = {**package.tags, DIGEST_TAG: package.digest}
        uri = f"models:/{package.name}/{number}"
        files = {**package.files, GRAPH_FILE: package.onnx_file}
        model.files[number] = {file: path.read_bytes() for file, path in files.items()}
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

    def version(self, name: str, number: str) -> Version | None:
        """Return the version of `name` with that number, or None."""
        return self._models.get(name, _Model()).versions.get(number)

    def aliased(self, name: str, alias: str) -> Version | None:
        """Return the version that `alias` points at, or None."""
        model = self._models.get(name, _Model())
        return model.versions.get(model.aliases.get(alias, ""))

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point `alias` at `version`."""
        self._version(name, version)
        self._models[name].aliases[alias] = version

    def delete_alias(self, name: str, alias: str) -> None:
        """Take `alias` away; where it is not, nothing happens."""
        self._model(name).aliases.pop(alias, None)

    def set_tags(self, name: str, version: str, tags: Mapping[str, str | None]) -> None:
        """Add or replace tags of a version; None takes a tag away."""
        found = self._version(name, version)
        self._models[name].versions[version] = replace(found, tags=_merged(found.tags, tags))

    def set_model_tags(self, name: str, tags: Mapping[str, str | None]) -> None:
        """Add or replace tags of a model; None takes a tag away."""
        model = self._model(name)
        model.tags = _merged(model.tags, tags)

    def fetch(self, version: Version, files: Sequence[str], folder: Path) -> list[Path]:
        """Download files of a version into `folder`, each whole or not at all; return their paths, in order."""
        self._version(version.name, version.version)
        known = self._models[version.name].files[version.version]
        missing = [file for file in files if file not in known]
        if missing:
            raise NotFoundError(f"{version.uri} has no file {missing[0]!r}", known=known)
        for file in files:
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(known[file])
            check_graph(version, file, path)
        return [folder / file for file in files]

    def _model(self, name: str) -> _Model:
        if name not in self._models:
            raise NotFoundError(f"There is no model {name!r}", known=self._models)
        return self._models[name]

    def _version(self, name: str, version: str) -> Version:
        model = self._models.get(name, _Model())
        if version not in model.versions:
            raise NotFoundError(f"The model {name!r} has no version {version}", known=model.versions)
        return model.versions[version]


def _registered(name: str, model: _Model) -> RegisteredModel:
    return RegisteredModel(name, model.tags.get(PROJECT_TAG, ""), dict(model.aliases), dict(model.tags))


def _merged(tags: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in {**tags, **changes}.items() if value is not None}

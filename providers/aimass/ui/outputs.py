"""Published outputs that pages show: only what lies in the store, and only files that a manifest names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from aimass.core.deps import Deps
from aimass.core.errors import NotFoundError
from aimass.core.manifest import Manifest, find_manifest


@dataclass(frozen=True)
class PublishedOutput:
    """One output of a stage.

    Attributes
    ----------
    deps : Deps
        Whose store it lies in.
    uri : str
        Its folder.
    manifest : Manifest
        What it is.
    """

    deps: Deps
    uri: str
    manifest: Manifest

    def has(self, name: str) -> bool:
        """Return whether the output has a file of that name."""
        return any(file.name == name for file in self.manifest.files)

    def read(self, name: str) -> bytes:
        """Return one of its files.

        Raises
        ------
        NotFoundError
            The manifest names no such file, or it is gone.
        """
        if not self.has(name):
            known = ", ".join(file.name for file in self.manifest.files) or "none"
            raise NotFoundError(f"The output of {self.manifest.stage} has no file {name!r}; it has: {known}")
        return self.deps.store.read_bytes(f"{self.uri}/{name}")


def published(deps: Deps, uri: str) -> PublishedOutput:
    """Return the output whose folder is `uri`.

    A task's result may say anything, so an address outside of the store is refused like one that leads nowhere.

    Raises
    ------
    NotFoundError
        It lies outside of the store, was never published, or was collected as garbage.
    """
    folder = uri.rstrip("/")
    inside = folder.startswith(f"{deps.store.folder()}/") and ".." not in unquote(folder).split("/")
    manifest = find_manifest(deps.store, folder) if inside else None
    if manifest is None:
        raise NotFoundError("That output is not in the store: it was never published, or garbage collection took it.")
    return PublishedOutput(deps, folder, manifest)


def output_of(deps: Deps, result: dict[str, Any] | None) -> PublishedOutput:
    """Return what a task published, by its result.

    Raises
    ------
    NotFoundError
        The task has returned nothing, or what it returned is not in the store.
    """
    if not result or not result.get("uri"):
        raise NotFoundError("That task has published nothing: it has not run, has failed, or makes no output.")
    return published(deps, str(result["uri"]))

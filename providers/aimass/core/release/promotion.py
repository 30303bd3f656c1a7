"""Putting a model into use: a version in the registry, an alias that points at it, an entry in the ledger.

Every step may be repeated: after a crash at any moment the same call leads to the same end, with one version, one
entry and both aliases in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aimass.core.backends import backend_of
from aimass.core.deps import Deps
from aimass.core.errors import NotAllowedError
from aimass.core.release import REGISTRIES
from aimass.core.release.base import PROJECT_TAG, ModelRegistry, Package, Version
from aimass.core.release.ledger import AliasMove, Ledger

PREVIOUS = "previous"


@dataclass(frozen=True)
class Promotion:
    """A version in use.

    Attributes
    ----------
    version : Version
        What the alias points at.
    move : AliasMove
        The ledger's entry of how it came there.
    """

    version: Version
    move: AliasMove


def open_registry(document: Mapping[str, Any], deps: Deps) -> ModelRegistry:
    """Return the registry that a document such as ``{type: mlflow}`` names."""
    backend, settings = backend_of(REGISTRIES, dict(document))
    return backend(settings, deps)


def refuse_takeover(registry: ModelRegistry, deps: Deps, name: str) -> None:
    """Raise NotAllowedError where the model `name` is another project's: its clients would be given other answers."""
    model = registry.model(name)
    if model is not None and model.project != deps.project:
        owner = f"the project {model.project!r}" if model.project else "somebody outside AI Mass"
        raise NotAllowedError(
            f"The model {name!r} was registered by {owner}, and this run belongs to the project {deps.project!r}",
            expected="a name of one's own",
            hint=f"Choose another name; to hand the model over, set its tag {PROJECT_TAG} in the registry",
            owner=model.project,
        )


def promote(registry: ModelRegistry, deps: Deps, package: Package, *, alias: str, why: str) -> Promotion:
    """Register `package` and point `alias` at it; what `alias` pointed at before gets the alias ``previous``.

    Raises
    ------
    NotAllowedError
        The model is another project's.
    """
    refuse_takeover(registry, deps, package.name)
    version = registry.register(package)
    deps.failpoints.hit("between_registry_and_alias")
    standing = registry.aliased(package.name, alias)
    move = Ledger(deps, package.name).record(
        alias,
        old=standing.version if standing else None,
        new=version.version,
        digest=version.digest,
        why=why,
    )
    deps.failpoints.hit("between_ledger_and_alias")
    if move.old_version not in (None, version.version):
        registry.set_alias(package.name, PREVIOUS, str(move.old_version))
    deps.failpoints.hit("between_previous_and_alias")
    registry.set_alias(package.name, alias, version.version)
    deps.failpoints.hit("between_alias_and_tags")
    registry.set_tags(package.name, version.version, {f"aimass.moved.{alias}": move.text()})
    return Promotion(version, move)


def stands(registry: ModelRegistry, *, name: str, alias: str, version: str, digest: str) -> bool:
    """Return whether `alias` still points at that version, and the version is still that model."""
    found = registry.aliased(name, alias)
    return found is not None and (found.version, found.digest) == (version, digest)

"""Putting a model into use: a version in the registry, an alias that points at it, an entry in the ledger.

Every step may be repeated: after a crash at any moment the same call leads to the same end, with one version, one
entry and both aliases in place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aimass.core.backends import backend_of
from aimass.core.deps import Deps
from aimass.core.errors import GateRefusedError, NotAllowedError, NotFoundError
from aimass.core.release import REGISTRIES
from aimass.core.release.base import (
    BAD_TAG,
    METRICS_TAG,
    PROJECT_TAG,
    TRAFFIC_TAG,
    ModelRegistry,
    Package,
    Version,
)
from aimass.core.release.gate import Check, GateSettings, judge
from aimass.core.release.ledger import AliasMove, Ledger
from aimass.core.texts import say

CHAMPION = "champion"
CHALLENGER = "challenger"
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


def promote(
    registry: ModelRegistry,
    deps: Deps,
    package: Package,
    *,
    alias: str,
    why: str,
    accept_rolled_back: bool = False,
) -> Promotion:
    """Register `package` and point `alias` at it; what `alias` pointed at before gets the alias ``previous``.

    Raises
    ------
    NotAllowedError
        The model is another project's.
    GateRefusedError
        These very bytes were rolled back, and `accept_rolled_back` is not given.
    """
    refuse_takeover(registry, deps, package.name)
    version = registry.register(package)
    deps.failpoints.hit("between_registry_and_alias")
    return point(registry, deps, version, alias=alias, why=why, accept_rolled_back=accept_rolled_back)


def point(
    registry: ModelRegistry,
    deps: Deps,
    version: Version,
    *,
    alias: str,
    why: str,
    accept_rolled_back: bool = False,
) -> Promotion:
    """Point `alias` at a registered `version`, which is taken to be good from now on.

    What it pointed at before gets the alias ``previous``, but for the challenger's: nobody goes back to that.

    Raises
    ------
    GateRefusedError
        The version was rolled back, and `accept_rolled_back` is not given.
    """
    if rolled_back(version) and not accept_rolled_back:
        raise GateRefusedError(
            f"Version {version.version} of {version.name!r} was rolled back: {version.tags[BAD_TAG]}",
            hint=f"If it was not the model's fault, release it with accept_rolled_back, or take its tag {BAD_TAG} away",
        )
    standing = registry.aliased(version.name, alias)
    move = Ledger(deps, version.name).record(
        alias,
        old=standing.version if standing else None,
        new=version.version,
        digest=version.digest,
        why=why,
    )
    deps.failpoints.hit("between_ledger_and_alias")
    if alias != CHALLENGER and move.old_version not in (None, version.version):
        registry.set_alias(version.name, PREVIOUS, str(move.old_version))
    deps.failpoints.hit("between_previous_and_alias")
    registry.set_alias(version.name, alias, version.version)
    deps.failpoints.hit("between_alias_and_tags")
    registry.set_tags(version.name, version.version, {f"aimass.moved.{alias}": move.text(), BAD_TAG: None})
    return Promotion(version, move)


def promote_challenger(
    registry: ModelRegistry, deps: Deps, name: str, gate: GateSettings, *, alias: str = CHAMPION, why: str
) -> Promotion:
    """Point `alias` at what ``challenger`` points at, once more through the gate; ``challenger`` is free afterwards.

    A share of the traffic that the challenger got goes back to `alias`.

    Raises
    ------
    NotFoundError
        Nothing is called challenger: it was promoted already, or never released.
    GateRefusedError
        It is not good enough beside what stands now, or was rolled back.
    """
    challenger = registry.aliased(name, CHALLENGER)
    if challenger is None:
        # A retry, after the first attempt has done everything but say so.
        if (done := done_by_this_run(registry, deps, name, alias)) is not None:
            return done
        raise NotFoundError(
            f"The model {name!r} has no {CHALLENGER}", hint=f"Release one under the alias {CHALLENGER!r} first"
        )
    standing = registry.aliased(name, alias)
    rival = standing if standing is not None and standing.digest != challenger.digest else None
    verdict = judge(metrics_of(challenger) or {}, metrics_of(rival), gate)
    refused = [str(check) for check in (*verdict.refused, *rolled_back(challenger))]
    if refused:
        raise GateRefusedError(
            f"Version {challenger.version} of {name!r} is not promoted: {'; '.join(refused)}",
            hint="Leave it the challenger, or release a better one",
            refused=refused,
        )
    done = point(registry, deps, challenger, alias=alias, why=why)
    deps.failpoints.hit("between_promotion_and_traffic")
    registry.set_model_tags(name, {TRAFFIC_TAG: None})
    registry.delete_alias(name, CHALLENGER)
    return done


def done_by_this_run(registry: ModelRegistry, deps: Deps, name: str, alias: str) -> Promotion | None:
    """Return where this very run has moved `alias` to, if it was the last to do so; None where it was not."""
    move = Ledger(deps, name).last(alias)
    standing = registry.aliased(name, alias)
    if move is None or standing is None or move.run_id != deps.runtime.run_id:
        return None
    return Promotion(standing, move) if standing.version == move.new_version else None


def metrics_of(version: Version | None) -> dict[str, float] | None:
    """Return what the evaluation measured of `version` on the test part; None for None."""
    if version is None:
        return None
    metrics: dict[str, float] = json.loads(version.tags.get(METRICS_TAG, "{}"))
    return metrics


def rolled_back(version: Version | None) -> list[Check]:
    """Return the check that `version` does not pass where it was rolled back; nothing where it was not."""
    why = version.tags.get(BAD_TAG) if version is not None else None
    if why is None:
        return []
    said = say("these very bytes were in use and were rolled back ({why})", why=why)
    return [Check(passed=False, said=said)]


def stands(registry: ModelRegistry, *, name: str, alias: str, version: str, digest: str) -> bool:
    """Return whether `alias` still points at that version, and the version is still that model."""
    found = registry.aliased(name, alias)
    return found is not None and (found.version, found.digest) == (version, digest)

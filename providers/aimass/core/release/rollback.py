"""Back to a version that was good: choose it, try it, move the alias, see that every server has followed.

Each step may be repeated, and a crash between any two leads to the same end: what is chosen does not depend on how far
an earlier attempt of the same run came, trying and looking change nothing, and moving is idempotent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.endpoints.base import Endpoint
from aimass.core.endpoints.status import ServedModel, ShadowReport
from aimass.core.errors import AimassError, ConfigError, GateRefusedError, NotFoundError, UnreachableError
from aimass.core.release.base import BAD_TAG, STATE_TAG, ModelRegistry, Version
from aimass.core.release.ledger import AliasMove, Ledger
from aimass.core.release.promotion import CHALLENGER, CHAMPION, PREVIOUS, done_by_this_run

LAST_GOOD = "last_good"
"""Asks for the newest version that the alias pointed at before, and that nobody found fault with."""

LEAVING = ("draining", "archived")
"""States of versions that nothing goes back to."""

SHADOW_ROWS = 200
WHY = "rollback: "


class RollbackRequest(settings.Settings):
    """What is asked for."""

    model: str = Field(description="Name of the registered model.")
    alias: str = Field(default=CHAMPION, description="The alias that goes back.")
    to: str = Field(default=LAST_GOOD, description="A version, or last_good, or previous.")
    leave: str | None = Field(
        default=None, description="The version that was found bad; the one that the alias points at when empty."
    )
    why: str = Field(min_length=1, max_length=500, description="Why, for the ledger and for people.")
    evidence: str = Field(default="", description="URI of the monitor's output that shows it; may be empty.")


class Plan(settings.Settings):
    """What will be done: everything that the later steps need, JSON-able."""

    model: str = Field(description="Name of the registered model.")
    alias: str = Field(description="The alias that goes back.")
    leave: str = Field(description="The version that it leaves.")
    leave_digest: str = Field(description="sha256 of that version's model.onnx.")
    target: str = Field(description="The version that it goes back to.")
    target_digest: str = Field(description="sha256 of that version's model.onnx.")
    next_good: str | None = Field(description="What could be gone back to after that; it becomes `previous`.")
    why: str = Field(description="Why.")
    evidence: str = Field(default="", description="URI of the monitor's output that shows it; may be empty.")


class Verification(settings.Settings):
    """What came of trying the target on the servers' recent requests."""

    reports: dict[str, ShadowReport] = Field(description="What each server saw.")
    unreachable: dict[str, str] = Field(default_factory=dict, description="Servers that did not answer, and how.")


class Confirmation(settings.Settings):
    """What the servers do after the alias moved."""

    serving: list[str] = Field(description="Servers that answer with the target.")
    lacking: dict[str, str] = Field(default_factory=dict, description="What the others do instead.")

    @property
    def ok(self) -> bool:
        """Whether every server answers with the target."""
        return not self.lacking


def choose(request: RollbackRequest, registry: ModelRegistry, deps: Deps) -> Plan | None:
    """Return what will be done; None where the alias has left the bad version already.

    Raises
    ------
    NotFoundError
        There is no such model, alias or version, or no version to go back to.
    ConfigError
        The version that was asked for cannot be gone back to.
    """
    standing = registry.aliased(request.model, request.alias)
    if standing is None:
        raise NotFoundError(
            f"Nothing of the model {request.model!r} is called {request.alias!r}", hint="Check both names"
        )
    bad = standing
    # A later attempt of the run that has moved the alias already means what the first one meant.
    done = done_by_this_run(registry, deps, request.model, request.alias)
    if done is not None and done.move.old_version is not None and done.move.why.startswith(WHY):
        bad = registry.version(request.model, done.move.old_version) or standing
    if request.leave not in (None, bad.version):
        return None
    history = list(_good_before(request, registry, deps, bad))
    target = done.version if done is not None and bad is not standing else _target(request, registry, history, bad)
    others = [version for version in history if version.version != target.version]
    return Plan(
        model=request.model,
        alias=request.alias,
        leave=bad.version,
        leave_digest=bad.digest,
        target=target.version,
        target_digest=target.digest,
        next_good=others[0].version if others else None,
        why=request.why,
        evidence=request.evidence,
    )


def verify(plan: Plan, endpoints: Mapping[str, Endpoint], *, rows: int = SHADOW_ROWS) -> Verification:
    """Have every server try the target on its recent requests.

    A server that does not answer cannot forbid the way back; one that cannot run the target can.

    Raises
    ------
    GateRefusedError
        A server says that the target may not take over.
    UnreachableError
        There are servers, and none of them answered.
    """
    reports: dict[str, ShadowReport] = {}
    unreachable: dict[str, str] = {}
    for name, endpoint in endpoints.items():
        try:
            reports[name] = endpoint.shadow(plan.model, plan.target, rows=rows)
        except UnreachableError as error:
            unreachable[name] = str(error)
    refused = [f"{name}: {reason}" for name, report in reports.items() if not report.ok for reason in report.reasons]
    if refused or any(not report.ok for report in reports.values()):
        raise GateRefusedError(
            f"Version {plan.target} of {plan.model!r} may not take over: {'; '.join(refused)}",
            hint=f"Name another version in `to`; {plan.alias} still points at version {plan.leave}",
            refused=refused,
        )
    if endpoints and not reports:
        raise UnreachableError(
            f"No server answered to try version {plan.target}: {'; '.join(unreachable.values())}", hint="Start one"
        )
    return Verification(reports=reports, unreachable=unreachable)


def move(plan: Plan, registry: ModelRegistry, deps: Deps) -> AliasMove:
    """Point the alias at the target, mark the version that it leaves as bad, and write it into the ledger.

    Raises
    ------
    ConfigError
        The alias was moved elsewhere meanwhile.
    """
    standing = registry.aliased(plan.model, plan.alias)
    if standing is None or standing.version not in (plan.leave, plan.target):
        where = f"points at version {standing.version}" if standing else "is gone"
        raise ConfigError(
            f"{plan.alias} of {plan.model!r} {where}: somebody moved it after the way back was chosen",
            expected=f"version {plan.leave}, which was found bad",
            hint="Nothing was changed; roll back anew where that is still wanted",
        )
    entry = Ledger(deps, plan.model).record(
        plan.alias,
        old=standing.version,
        new=plan.target,
        digest=plan.target_digest,
        why=f"{WHY}{plan.why}",
    )
    deps.failpoints.hit("between_ledger_and_bad")
    registry.set_tags(plan.model, plan.leave, {BAD_TAG: entry.text()})
    deps.failpoints.hit("between_bad_and_alias")
    registry.set_alias(plan.model, plan.alias, plan.target)
    deps.failpoints.hit("between_alias_and_previous")
    if plan.alias != CHALLENGER:
        if plan.next_good is not None:
            registry.set_alias(plan.model, PREVIOUS, plan.next_good)
        else:
            registry.delete_alias(plan.model, PREVIOUS)
    deps.failpoints.hit("between_previous_and_tags")
    registry.set_tags(plan.model, plan.target, {f"aimass.moved.{plan.alias}": entry.text()})
    return entry


def confirm(plan: Plan, endpoints: Mapping[str, Endpoint]) -> Confirmation:
    """Have every server look at the registry, and return which of them answer with the target."""
    lacking = {name: lack for name, endpoint in endpoints.items() if (lack := _lack(plan, endpoint))}
    return Confirmation(serving=[name for name in endpoints if name not in lacking], lacking=lacking)


def _good_before(request: RollbackRequest, registry: ModelRegistry, deps: Deps, bad: Version) -> Iterator[Version]:
    """Yield the versions that the alias pointed at before, the newest first, without those known to be bad."""
    seen = {bad.version}
    for entry in reversed(Ledger(deps, request.model).entries()):
        for number in (entry.new_version, entry.old_version) if entry.alias == request.alias else ():
            if number is None or number in seen:
                continue
            seen.add(number)
            found = registry.version(request.model, number)
            if found is not None and not _faults(found, bad):
                yield found


def _target(request: RollbackRequest, registry: ModelRegistry, history: list[Version], bad: Version) -> Version:
    if request.to == LAST_GOOD:
        previous = registry.aliased(request.model, PREVIOUS)
        if history:
            return history[0]
        # A model that somebody else released has no ledger.
        if previous is not None and not _faults(previous, bad):
            return previous
        raise NotFoundError(
            f"{request.alias} of {request.model!r} points at version {bad.version}, "
            "and no version that it pointed at before is still good",
            hint="Release another model, or name a version in `to`",
        )
    named = registry.aliased(request.model, PREVIOUS) if request.to == PREVIOUS else None
    found = named or registry.version(request.model, request.to)
    if found is None:
        raise NotFoundError(
            f"The model {request.model!r} has no version {request.to!r}",
            known=[version.version for version in registry.versions(request.model)],
        )
    if faults := _faults(found, bad):
        raise ConfigError(
            f"Version {found.version} of {request.model!r} cannot be gone back to: it {faults}",
            hint=f"Name another version in `to`, or {LAST_GOOD}",
        )
    return found


def _faults(version: Version, bad: Version) -> str:
    """Return why `version` cannot be gone back to, or nothing."""
    if version.digest == bad.digest:
        return "is the very model that is to be left"
    if BAD_TAG in version.tags:
        return f"was rolled back itself ({version.tags[BAD_TAG]})"
    state = version.tags.get(STATE_TAG, "")
    return f"is {state}" if state in LEAVING else ""


def _lack(plan: Plan, endpoint: Endpoint) -> str:
    """Return what the server does instead of answering with the target, or nothing."""
    try:
        served = endpoint.sync().model(plan.model)
        if served is None:
            # It loads models when they are asked for.
            served = endpoint.load(plan.model, plan.target).model(plan.model)
    except AimassError as error:
        return str(error)
    return _lack_of(plan, served) if served is not None else f"does not serve {plan.model}"


def _lack_of(plan: Plan, served: ServedModel) -> str:
    answers = served.aliases.get(plan.alias)
    if answers != plan.target:
        return f"answers with version {answers}" + (f": {served.alarm}" if served.alarm else "")
    version = served.named(plan.target)
    state = version.state if version is not None else "not in memory"
    return "" if state == "ready" else f"version {plan.target} is {state}"

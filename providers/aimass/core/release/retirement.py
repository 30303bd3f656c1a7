"""Taking a version out of use: deprecate, drain, archive, unload; and who would notice.

The state is a tag of the version, which every server reads: a deprecated version answers with a warning, and so does a
draining one, which is waited for until nobody asks it any more; an archived one is not served. Each step may be
repeated, and none goes back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.endpoints.base import Endpoint
from aimass.core.errors import AimassError, ConfigError, NotFoundError
from aimass.core.monitoring.log import segments
from aimass.core.release.base import STATE_TAG, TRAFFIC_TAG, ModelRegistry, Version
from aimass.core.release.promotion import PREVIOUS
from aimass.core.texts import Text, say

State = Literal["active", "deprecated", "draining", "archived"]

STATES: tuple[State, ...] = ("active", "deprecated", "draining", "archived")
"""In the order in which a version goes through them."""

RETIRED_TAG = "aimass.retired"
"""Tag of a version: who took it out of use, when and why."""

LOOK_BACK = timedelta(days=7)
"""How far back the prediction log is asked who still uses a version."""


class ServerUse(settings.Settings):
    """How one server uses a version."""

    requests: int = Field(default=0, description="Requests answered since it started.")
    last_request_at: datetime | None = Field(default=None, description="When it last answered one (UTC).")
    callers: dict[str, int] = Field(default={}, description="The requests by name of their token, where they had one.")
    state: str = Field(default="", description="The version's state there; empty where it is not in memory.")
    error: str = Field(default="", description="Why nothing is known; empty where it answered.")

    def text(self, name: str) -> Text:
        """Return how the server called `name` uses it, in a line."""
        if self.error:
            return say("{server} does not say: {error}", server=name, error=self.error)
        server = f"{name} ({self.state})" if self.state else name
        if self.last_request_at is None:
            return say("{server}: no request since it started", server=server)
        callers = ", ".join(f"{token} {count}" for token, count in sorted(self.callers.items()))
        told = {"server": server, "requests": self.requests, "when": _shown(self.last_request_at), "callers": callers}
        if callers:
            return say("{server}: {requests:,} requests since it started, the last at {when} (by {callers})", **told)
        return say("{server}: {requests:,} requests since it started, the last at {when}", **told)


class Usage(settings.Settings):
    """Who still uses a version."""

    model: str = Field(description="Name of the registered model.")
    version: str = Field(description="The version.")
    state: State = Field(description="How far its retirement is.")
    aliases: list[str] = Field(description="The aliases that point at it.")
    traffic: dict[str, float] = Field(description="Share of the traffic that each of them gets.")
    servers: dict[str, ServerUse] = Field(description="What the servers say.")
    logged_rows: int = Field(description="Rows of the prediction log of the last seven days.")
    last_logged_at: datetime | None = Field(default=None, description="When the newest of them was written (UTC).")

    @property
    def last_request_at(self) -> datetime | None:
        """When anybody was last answered, as far as servers and log know."""
        times = [use.last_request_at for use in self.servers.values()]
        known = [time for time in [*times, self.last_logged_at] if time is not None]
        return max(known, default=None)

    @property
    def unknown(self) -> list[str]:
        """Servers that did not say."""
        return [name for name, use in self.servers.items() if use.error]

    def lines(self) -> list[Text]:
        """Return who uses it, line by line: when it was asked last, aliases, servers, and the prediction log."""
        named = {"model": self.model, "version": self.version}
        last = self.last_request_at
        told = [
            say("version {version} of {model} was asked last at {when}", **named, when=_shown(last))
            if last
            else say("nobody is known to have asked for version {version} of {model}", **named)
        ]
        for alias in self.aliases:
            if alias in self.traffic:
                share = self.traffic[alias]
                told.append(say("alias {alias} with {share:.0%} of the traffic", alias=alias, share=share))
            else:
                told.append(say("alias {alias}", alias=alias))
        told += [use.text(name) for name, use in self.servers.items()]
        told.append(say("{rows:,} rows in the prediction log of the last seven days", rows=self.logged_rows))
        return told

    def is_idle(self, now: datetime, grace: timedelta) -> bool:
        """Return whether every server answered, and none was asked for this version within `grace`."""
        last = self.last_request_at
        return not self.unknown and (last is None or now - last >= grace)


def usage(registry: ModelRegistry, deps: Deps, endpoints: Mapping[str, Endpoint], model: str, version: str) -> Usage:
    """Return who still uses a version; a server that does not answer is named with what went wrong.

    Raises
    ------
    NotFoundError
        There is no such model or version.
    """
    found = _version(registry, model, version)
    known = registry.model(model)
    assert known is not None, "the version was found in it"
    aliases = sorted(alias for alias, number in known.aliases.items() if number == version)
    weights: dict[str, float] = json.loads(known.tags.get(TRAFFIC_TAG, "{}"))
    now = deps.clock()
    project = known.project or "default"
    logged = segments(deps.store, project, model, now - LOOK_BACK, now)
    own = [segment.facts for segment in logged if segment.facts.version == version]
    return Usage(
        model=model,
        version=version,
        state=state_of(found),
        aliases=aliases,
        traffic={alias: weights[alias] for alias in aliases if alias in weights},
        servers={name: _server_use(endpoint, model, version) for name, endpoint in endpoints.items()},
        logged_rows=sum(facts.rows for facts in own),
        last_logged_at=max((facts.end for facts in own), default=None),
    )


def deprecate(registry: ModelRegistry, deps: Deps, model: str, version: str, *, why: str, force: bool = False) -> State:
    """Mark a version as one that should not be used any more; requests are answered with a warning.

    Parameters
    ----------
    registry, deps
        The registry, and who asks.
    model, version : str
        The version.
    why : str
        Why, for people.
    force : bool
        Take away the aliases that point at it; without, such a version is not retired.

    Raises
    ------
    ConfigError
        An alias points at it, and `force` is not given.
    NotFoundError
        There is no such model or version.
    """
    found = _version(registry, model, version)
    aliases = _aliases(registry, model, version)
    in_use = [alias for alias in aliases if alias != PREVIOUS]
    if in_use and not force:
        raise ConfigError(
            f"{', '.join(in_use)} of {model!r} still point at version {version}",
            expected="a version that no alias points at",
            hint="Move them first (roll back or release), or force the retirement: clients then get 404",
        )
    for alias in aliases:
        registry.delete_alias(model, alias)
    deps.failpoints.hit("between_aliases_and_state")
    if RETIRED_TAG not in found.tags:
        said = f"{deps.clock().isoformat(timespec='seconds')}: {deps.principal}: {why}"
        registry.set_tags(model, version, {RETIRED_TAG: said})
    return _advance(registry, found, "deprecated")


def drain(registry: ModelRegistry, model: str, version: str) -> State:
    """Mark a version as one that is waited for until nobody asks it any more."""
    return _advance(registry, _version(registry, model, version), "draining")


def archive(registry: ModelRegistry, model: str, version: str) -> State:
    """Mark a version as one that is not served; its files stay.

    Raises
    ------
    ConfigError
        An alias points at it.
    """
    if aliases := _aliases(registry, model, version):
        raise ConfigError(f"{', '.join(aliases)} of {model!r} points at version {version}", hint="Deprecate it first")
    return _advance(registry, _version(registry, model, version), "archived")


def unload(endpoints: Mapping[str, Endpoint], model: str, version: str) -> dict[str, str]:
    """Take a version out of every server's memory; return what went wrong, by server."""
    failed = {}
    for name, endpoint in endpoints.items():
        try:
            served = endpoint.sync().model(model)
            if served is not None and served.named(version) is not None:
                endpoint.unload(model, version)
        except NotFoundError:
            continue
        except AimassError as error:
            failed[name] = str(error)
    return failed


def revive(registry: ModelRegistry, model: str, version: str) -> None:
    """Take a retirement back, at any step."""
    registry.set_tags(model, _version(registry, model, version).version, {STATE_TAG: None, RETIRED_TAG: None})


def state_of(version: Version) -> State:
    """Return how far the retirement of `version` is."""
    told = version.tags.get(STATE_TAG, "active")
    return next((state for state in STATES if state == told), "active")


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _advance(registry: ModelRegistry, version: Version, state: State) -> State:
    """Set the state, unless the version is further already; return where it is then."""
    now = state_of(version)
    if STATES.index(now) >= STATES.index(state):
        return now
    registry.set_tags(version.name, version.version, {STATE_TAG: state})
    return state


def _version(registry: ModelRegistry, model: str, version: str) -> Version:
    found = registry.version(model, version)
    if found is None:
        raise NotFoundError(
            f"The model {model!r} has no version {version!r}",
            known=[each.version for each in registry.versions(model)],
        )
    return found


def _aliases(registry: ModelRegistry, model: str, version: str) -> list[str]:
    known = registry.model(model)
    return sorted(alias for alias, number in known.aliases.items() if number == version) if known is not None else []


def _server_use(endpoint: Endpoint, model: str, version: str) -> ServerUse:
    try:
        served = endpoint.status().model(model)
    except AimassError as error:
        return ServerUse(error=str(error))
    found = served.named(version) if served is not None else None
    if found is None:
        return ServerUse()
    return ServerUse(
        requests=found.requests, last_request_at=found.last_request_at, callers=found.callers, state=found.state
    )

"""Which version answers which request: the worker's tables, turned by the number that all workers share."""

from __future__ import annotations

import asyncio
import bisect
import hashlib
import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aimass.core.errors import ConfigError
from aimass.serving.context import IndexEntry, Resolved
from aimass.serving.errors import ModelNotFoundError, NotLoadedError, UnavailableError, VersionNotFoundError
from aimass.serving.generation import Generation
from aimass.serving.link import RemoteError
from aimass.serving.loaded import LoadedModel
from aimass.serving.state import ModelEntry, Table

log = logging.getLogger(__name__)
Key = tuple[str, str]


class _Model(NamedTuple):
    """One model of one generation, ready to be asked."""

    entry: ModelEntry
    by_version: dict[str, Resolved]
    by_alias: dict[str, Resolved]
    default: Resolved | None
    """What answers a request that names nothing; None where it is not in memory, or shares decide."""
    bounds: list[float]
    """Where the share of each alias ends, of 1."""
    shares: list[str]
    """The aliases, in that order."""
    columns: frozenset[str]


class WorkerTable:
    """The models in this worker's memory, and the tables that say which of them answers.

    The supervisor hands over the next table first and changes the shared number when every worker has it: at that
    moment all of them turn, each with its next request.

    Parameters
    ----------
    generation : Generation
        The shared number.
    alias : str
        The alias that answers where a request names nothing.
    ask : callable
        Called with model, version and alias to have the supervisor load a version.
    """

    def __init__(
        self,
        generation: Generation,
        alias: str,
        ask: Callable[[str, str | None, str | None], Awaitable[None]],
    ) -> None:
        self.memory: dict[Key, LoadedModel] = {}
        self._generation = generation
        self._alias = alias
        self._ask = ask
        self._current = -1
        self._models: dict[str, _Model] = {}
        self._table = Table(not_ready="The models are not loaded yet")
        self._prepared: dict[int, tuple[Table, dict[str, _Model]]] = {}
        self._coming: dict[tuple[str, str | None, str | None], asyncio.Task[None]] = {}

    # --- for requests -----------------------------------------------------------------------------------------------

    def resolve(
        self, model: str, *, version: str | None = None, alias: str | None = None, route_key: str = ""
    ) -> Resolved:
        """Return the version in memory that answers; see `ModelTable.resolve`."""
        if self._generation.read() != self._current:
            self._turn()
        found = self._models.get(model)
        if found is None:
            raise ModelNotFoundError(model, self._models)
        if version is not None:
            return found.by_version.get(version) or self._missing(model, found.entry, version)
        if alias is None:
            if found.default is not None:
                return found.default
            alias = _share_of(found, route_key) if found.shares else self._alias
        resolved = found.by_alias.get(alias)
        if resolved is not None:
            return resolved
        number = found.entry.aliases.get(alias)
        if number is None:
            raise VersionNotFoundError(
                f"The model {model!r} has no alias {alias[:64]!r}", known=found.entry.aliases, model=model
            )
        return self._missing(model, found.entry, number)

    async def ensure(
        self, model: str, *, version: str | None = None, alias: str | None = None, route_key: str = ""
    ) -> Resolved:
        """Do the same, and have the supervisor load the version where need be; see `ModelTable.ensure`."""
        try:
            return self.resolve(model, version=version, alias=alias, route_key=route_key)
        except NotLoadedError:
            pass
        # All who wait for the same version wait for one load; it goes on when one of them gives up.
        key = (model, version, alias)
        task = self._coming.get(key)
        if task is None:
            task = self._coming[key] = asyncio.ensure_future(self._ask_for(model, version, alias))
            task.add_done_callback(lambda _: self._coming.pop(key, None))
        await asyncio.shield(task)
        return self.resolve(model, version=version, alias=alias, route_key=route_key)

    def names(self) -> list[str]:
        """Return the names of the models served, sorted."""
        self._turn()
        return sorted(self._models)

    def index(self) -> list[IndexEntry]:
        """Return every version in memory, or failed to be."""
        self._turn()
        entries = [(name, model.entry) for name, model in sorted(self._models.items())]
        ready = [IndexEntry(name, version, "ready") for name, entry in entries for version in sorted(entry.versions)]
        failed = [
            IndexEntry(name, version, "failed", why)
            for name, entry in entries
            for version, why in sorted(entry.failed.items())
        ]
        return ready + failed

    def known_columns(self, model: str) -> frozenset[str]:
        """Return the raw columns of every version of the model that the server has seen."""
        self._turn()
        found = self._models.get(model)
        return found.columns if found is not None else frozenset()

    def not_ready(self) -> str:
        """Return why the server should get no requests yet; empty where it is ready."""
        self._turn()
        return self._table.not_ready

    # --- for the supervisor -----------------------------------------------------------------------------------------

    def prepare(self, table: Table) -> None:
        """Take the next table; it holds once the shared number is its own."""
        missing = [
            f"{name}@{version}"
            for name, entry in table.models.items()
            for version in entry.versions
            if (name, version) not in self.memory
        ]
        if missing:
            raise ConfigError(f"Not in this worker's memory: {', '.join(missing)}", expected="every version loaded")
        self._prepared[table.generation] = (
            table,
            {name: self._model(name, entry) for name, entry in table.models.items()},
        )

    def _turn(self) -> None:
        number = self._generation.read()
        if number == self._current:
            return
        prepared = self._prepared.get(number)
        if prepared is None:
            log.error("the table %d was never handed over; table %d goes on", number, self._current)
            return
        self._current, (self._table, self._models) = number, prepared
        self._prepared = {later: kept for later, kept in self._prepared.items() if later > number}

    def _model(self, name: str, entry: ModelEntry) -> _Model:
        def resolved(version: str, alias: str) -> Resolved:
            state = entry.versions[version].state
            return Resolved(self.memory[name, version], alias, state in ("deprecated", "draining", "archived"))

        by_version = {version: resolved(version, "") for version in entry.versions}
        by_alias = {a: resolved(version, a) for a, version in entry.aliases.items() if version in entry.versions}
        shares = sorted(entry.traffic)
        bounds = list(itertools.accumulate(entry.traffic[alias] for alias in shares))
        default = None if shares else by_alias.get(self._alias)
        return _Model(entry, by_version, by_alias, default, bounds, shares, frozenset(entry.columns))

    def _missing(self, model: str, entry: ModelEntry, version: str) -> Resolved:
        raise NotLoadedError(
            f"Version {version[:20]} of {model!r} is not in memory yet", retry_after_s=1.0, model=model, entry=entry
        )

    async def _ask_for(self, model: str, version: str | None, alias: str | None) -> None:
        try:
            await self._ask(model, version, alias)
        except RemoteError as error:
            if error.code == "NotFoundError":
                known = self._models.get(model)
                if known is None:
                    raise ModelNotFoundError(model, self._models) from error
                raise VersionNotFoundError(str(error), model=model) from error
            raise UnavailableError(str(error), retry_after_s=1.0) from error


def _share_of(model: _Model, route_key: str) -> str:
    """Return the alias whose share the key falls into: the same key falls into the same one, everywhere."""
    digest = hashlib.blake2b(route_key.encode(), digest_size=8).digest()
    place = bisect.bisect_right(model.bounds, int.from_bytes(digest) / (1 << 64))
    return model.shares[min(place, len(model.shares) - 1)]

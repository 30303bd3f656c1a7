"""From what the registry asks for to what is served: load, warm, try, switch at once, take the old one away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from aimass.core.endpoints.status import ShadowReport
from aimass.core.errors import AimassError, NotFoundError
from aimass.serving.cache import Cache
from aimass.serving.config import ServeConfig
from aimass.serving.errors import UnavailableError
from aimass.serving.fleet import Fleet, Worker
from aimass.serving.generation import Generation
from aimass.serving.inventory import FIRST_RETRY_S, Inventory, Key, Record
from aimass.serving.state import Loaded, ModelEntry, Preparation, Table, VersionRef
from aimass.serving.trial import Trial
from aimass.serving.watcher import Watcher

if TYPE_CHECKING:
    from aimass.serving.vitals import Vitals

LOAD_TIMEOUT_S = 300.0
MOST_UNKNOWN = 100
"""Versions asked for in vain within one poll of the registry, after which it is not asked about others."""

log = logging.getLogger(__name__)


class Deployment:
    """Brings the served table to the desired one, model by model; one switch at a time.

    Parameters
    ----------
    config : ServeConfig
        The options.
    generation : Generation
        The number whose change switches all workers.
    cache : Cache
        Where files come to lie.
    watcher : Watcher
        Where files come from.
    vitals : Vitals
        Counts loads.
    """

    def __init__(
        self, config: ServeConfig, generation: Generation, cache: Cache, watcher: Watcher, vitals: Vitals
    ) -> None:
        self.desired = Table()
        self.table = Table(not_ready="The models are not loaded yet")
        self.inventory = Inventory(config)
        self.alarms: dict[str, str] = {}
        self.fleet: Fleet
        self._config = config
        self._generation = generation
        self._cache = cache
        self._watcher = watcher
        self._vitals = vitals
        self._trial = Trial(config)
        self._evicted: set[str] = set()
        self._unknown: dict[Key, float] = {}
        self._columns: dict[str, set[str]] = defaultdict(set)
        self._switching = asyncio.Lock()
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # --- the whole --------------------------------------------------------------------------------------------------

    async def converge(self, *, patient: bool = True) -> None:
        """Make every model as `desired` says, as far as possible; what is not gets an alarm.

        With `patient`, a version that failed lately is not tried again before its time.
        """
        if not patient:
            self.inventory.forget_patience()
        names = self.desired.models.keys() | self.table.models.keys()
        await asyncio.gather(*(self._converge(name) for name in sorted(names)))

    async def set_ready(self, not_ready: str = "") -> None:
        """Let the workers say that they are ready, or why they are not."""
        async with self._switching:
            await self._switch(msgspec.structs.replace(self.table, not_ready=not_ready))

    def is_active(self, name: str) -> bool:
        """Return whether a model is in memory, or ought to be from the start."""
        if name in self._evicted:
            return False
        started = {each.partition("@")[0] for each in (*self._config.prewarm, *self._config.pins)}
        return "*" in started or name in started or self.inventory.is_known(name)

    async def ensure(self, name: str, version: str | None, alias: str | None) -> None:
        """Have what a request asks for in memory, on every worker.

        Raises
        ------
        NotFoundError
            There is no such model, version or alias.
        UnavailableError
            It cannot be loaded.
        """
        async with self._locks[name]:
            self._evicted.discard(name)
            wanted = self.desired.models.get(name)
            if wanted is None or not wanted.versions:
                wanted = await self._look_at(name)
            number = version or wanted.aliases.get(alias or self._config.alias)
            if number is None:
                raise NotFoundError(
                    f"The model {name!r} has no alias {alias or self._config.alias!r}", known=wanted.aliases
                )
            ref = await self._reference(name, number, wanted)
            if ref.state == "archived":
                raise NotFoundError(f"Version {number} of {name!r} is archived", hint="Ask for another version")
            if not self.inventory.is_ready(name, number):
                self._vitals.waited(name)
            try:
                await self._have(name, number, ref, asked_for=version is not None)
            except AimassError as error:
                raise UnavailableError(
                    f"Version {number} of {name!r} cannot be loaded: {error}", retry_after_s=FIRST_RETRY_S
                ) from error
            await self._deploy(name, wanted)

    async def unload(self, name: str, version: str) -> None:
        """Take a version out of memory.

        Raises
        ------
        UnavailableError
            An alias points at it.
        """
        async with self._locks[name]:
            record = self.inventory.records.get((name, version))
            if record is None:
                raise NotFoundError(f"Version {version} of {name!r} is not in memory")
            entry = self.table.models.get(name)
            pointing = [alias for alias, number in entry.aliases.items() if number == version] if entry else []
            if pointing:
                raise UnavailableError(
                    f"Version {version} of {name!r} is what {', '.join(pointing)} points at",
                    hint="Move the alias in the registry first",
                )
            record.is_asked_for = False
            if name in self.desired.models:
                await self._deploy(name, self.desired.models[name])
            await self._drop(name, [version])

    async def shadow(self, name: str, version: str, rows: int) -> ShadowReport:
        """Try a version beside the one that answers now; it is loaded for that where need be."""
        if not self.inventory.is_ready(name, version):
            await self.ensure(name, version, None)
        entry = self.table.models.get(name)
        against = entry.aliases.get(self._config.alias, "") if entry is not None else ""
        return await self._trial.run(self.fleet, name, version, against if against != version else "", rows)

    async def bring_up(self, worker: Worker) -> None:
        """Give a new worker what the others have, and take it into the fleet."""
        async with self._switching:
            order = self._preparation(self.table)
            await worker.ask("prepare", order, timeout_s=LOAD_TIMEOUT_S)
            self.fleet.workers[worker.slot] = worker

    # --- one model --------------------------------------------------------------------------------------------------

    async def _converge(self, name: str) -> None:
        async with self._locks[name]:
            wanted = self.desired.models.get(name)
            try:
                if wanted is None:
                    await self._replace(name, None)
                    await self._drop(name, list(self.inventory.of(name)))
                    self.alarms.pop(name, None)
                else:
                    await self._deploy(name, wanted)
            except AimassError as error:
                self._alarm(name, str(error))

    async def _deploy(self, name: str, wanted: ModelEntry) -> None:
        """Have what the aliases need in memory, switch, and take away what nothing points at any more."""
        served = self.table.models.get(name) or ModelEntry(wanted.project, {}, {}, columns=wanted.columns)
        needed = {self._config.alias, *wanted.traffic} if self.is_active(name) else set()
        aliases, problems = dict(wanted.aliases), []
        for alias in sorted(needed & aliases.keys(), key=lambda alias: alias != self._config.alias):
            before = served.aliases.get(alias, "")
            try:
                await self._take_over(name, aliases[alias], wanted, before if before in served.versions else "")
            except AimassError as error:
                stays = f"stays at version {before}" if before in served.versions else "is not served"
                problems.append(f"{alias} {stays}: version {aliases[alias]}: {error}")
                aliases = {**aliases, alias: before} if before in served.versions else _without(aliases, alias)
        for version in self.inventory.pinned_versions(name) if needed else ():
            try:
                await self._have(name, version, await self._reference(name, version, wanted))
            except AimassError as error:
                problems.append(f"version {version}, which is pinned, is not served: {error}")
        entry = ModelEntry(
            wanted.project,
            aliases,
            self.inventory.staying(name, wanted, aliases),
            _shares({alias: share for alias, share in wanted.traffic.items() if alias in aliases}),
            sorted(self._columns[name] | set(served.columns)),
            {version: record.error for version, record in self.inventory.of(name).items() if record.state == "failed"},
        )
        await self._replace(name, entry)
        self._alarm(name, "; ".join(problems))
        # What failed and is still asked for stays known, so that it is tried again in its time only.
        known = entry.versions.keys() | {v for v in wanted.aliases.values() if not self.inventory.is_ready(name, v)}
        await self._drop(name, [version for version in self.inventory.of(name) if version not in known])

    async def _take_over(self, name: str, version: str, wanted: ModelEntry, before: str) -> None:
        """Load a version that an alias is to point at, and try it beside the one before."""
        await self._have(name, version, await self._reference(name, version, wanted))
        if before and before != version:
            report = await self._trial.run(self.fleet, name, version, before, self._config.shadow_rows)
            if not report.ok:
                error = UnavailableError("; ".join(report.reasons))
                entry = self.table.models.get(name)
                # One that another alias answers by already goes on there.
                if entry is None or version not in entry.versions:
                    self.inventory.records[name, version].fail(error)
                    await self.fleet.ask_all("unload", (name, [version]))
                raise error

    async def _have(self, name: str, version: str, ref: VersionRef, *, asked_for: bool = False) -> None:
        """Load a version on every worker unless it is there; raises why it cannot be."""
        record = self.inventory.get(name, ref, version)
        record.is_asked_for |= asked_for
        if record.state == "ready":
            return
        if time.monotonic() < record.retry_at:
            raise UnavailableError(record.error)
        record.state = "loading"
        try:
            await self._load(name, version, record)
        except AimassError as error:
            record.fail(error)
            self._vitals.load_failed(name)
            raise

    async def _load(self, name: str, version: str, record: Record) -> None:
        started = time.monotonic()

        def obtain() -> str:
            digest = record.ref.digest
            return str(self._cache.obtain(digest, lambda to: self._watcher.fetch(name, version, digest, to)))

        record.folder = await asyncio.to_thread(obtain)
        wanted = self.desired.models.get(name)
        record.project = wanted.project if wanted is not None else record.project
        order = self.inventory.order(name, version)
        answers = await self.fleet.ask_in_turn("load", order, Loaded, timeout_s=LOAD_TIMEOUT_S)
        record.memory_bytes = max(answer.memory_bytes for answer in answers)
        record.classes = answers[0].classes
        self._columns[name] |= set(answers[0].columns)
        try:
            await self._make_room(name, record)
        except AimassError:
            await self.fleet.ask_all("unload", (name, [version]))
            raise
        record.succeed(datetime.now(UTC))
        took_s = time.monotonic() - started
        self._vitals.loaded(name, took_s)
        log.info("loaded %s version %s in %.2f s", name, version, took_s)

    async def _make_room(self, name: str, new: Record) -> None:
        """Take the least recently used models out of memory until `new` fits into the budget."""
        budget = self._config.memory_budget_mb << 20
        while (over := new.memory_bytes + self.inventory.memory_bytes() - budget) > 0:
            others = [model for model in self.inventory.loaded_models() - {name} if not self.inventory.has_pin(model)]
            # One that is changing now is left alone.
            others = [model for model in others if not self._locks[model].locked()]
            if not others:
                raise UnavailableError(
                    f"There is no room for it: it takes {new.memory_bytes >> 20} MiB, {over >> 20} MiB too many",
                    expected=f"at most memory_budget_mb = {self._config.memory_budget_mb} in all",
                    hint="Raise memory_budget_mb, or serve fewer models",
                )
            await self._evict(min(others, key=self.inventory.last_use))

    async def _evict(self, name: str) -> None:
        log.info("%s leaves memory: it is the least recently used", name)
        async with self._locks[name]:
            entry = self.table.models.get(name)
            if entry is not None:
                await self._replace(name, msgspec.structs.replace(entry, versions={}))
            await self._drop(name, list(self.inventory.of(name)))
            self._evicted.add(name)
        self._vitals.evicted(name)

    async def _replace(self, name: str, entry: ModelEntry | None) -> None:
        """Switch to a table with another entry for the model, unless it is as it was."""
        async with self._switching:
            if self.table.models.get(name) == entry:
                return
            models = {model: found for model, found in self.table.models.items() if model != name}
            if entry is not None:
                models[name] = entry
            await self._switch(msgspec.structs.replace(self.table, models=models))
            if entry is not None:
                log.info("%s is served as %s", name, entry.aliases, extra={"generation": self.table.generation})

    async def _switch(self, table: Table) -> None:
        """Hand the table to every worker, then change the one number by which all of them turn to it."""
        table = msgspec.structs.replace(table, generation=self.table.generation + 1)
        await self.fleet.ask_most("prepare", self._preparation(table), timeout_s=LOAD_TIMEOUT_S)
        self.table = table
        self._generation.write(table.generation)
        await asyncio.to_thread(self._cache.save_table, table)

    async def _drop(self, name: str, versions: list[str]) -> None:
        """Take versions out of memory; requests that hold them are answered first."""
        if versions:
            for version in versions:
                self.inventory.records.pop((name, version), None)
            await self.fleet.ask_all("unload", (name, versions))

    # --- small things -----------------------------------------------------------------------------------------------

    def _preparation(self, table: Table) -> Preparation:
        orders = [
            self.inventory.order(name, version) for name, entry in table.models.items() for version in entry.versions
        ]
        return Preparation(table, orders)

    async def _look_at(self, name: str) -> ModelEntry:
        entry = await asyncio.to_thread(self._watcher.look_at, name)
        if entry is None:
            raise NotFoundError(f"No model {name!r} is in the registry", known=self.desired.models)
        self.desired = msgspec.structs.replace(self.desired, models={**self.desired.models, name: entry})
        return entry

    async def _reference(self, name: str, version: str, wanted: ModelEntry) -> VersionRef:
        """Return what the registry says of a version, which may be older than those that it was asked for."""
        if version in wanted.versions:
            return wanted.versions[version]
        # Whoever asks for versions that do not exist must not make the registry work each time.
        now = time.monotonic()
        self._unknown = {key: until for key, until in self._unknown.items() if until > now}
        found = None
        if (name, version) not in self._unknown and len(self._unknown) < MOST_UNKNOWN:
            found = await asyncio.to_thread(self._watcher.look_for, name, version)
        if found is None:
            self._unknown.setdefault((name, version), now + self._config.registry_poll_s)
            raise NotFoundError(f"The model {name!r} has no version {version[:64]}")
        return found

    def _alarm(self, name: str, why: str) -> None:
        if why and self.alarms.get(name) != why:
            log.error("%s: %s", name, why)
        if why:
            self.alarms[name] = why
        else:
            self.alarms.pop(name, None)


def _without(aliases: Mapping[str, str], alias: str) -> dict[str, str]:
    return {name: version for name, version in aliases.items() if name != alias}


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weights so that they sum to 1."""
    total = sum(weights.values())
    return {alias: weight / total for alias, weight in weights.items()} if total else {}


def digests(tables: Iterable[Table]) -> set[str]:
    """Return the digest of every version in the tables."""
    return {ref.digest for table in tables for entry in table.models.values() for ref in entry.versions.values()}

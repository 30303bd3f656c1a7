"""From what the registry asks for to what is served: load, warm, try, switch at once, take the old one away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from aimass.core.endpoints.status import ShadowReport, VersionState
from aimass.core.errors import AimassError, NotFoundError
from aimass.serving.cache import Cache
from aimass.serving.config import ServeConfig
from aimass.serving.errors import UnavailableError
from aimass.serving.fleet import Fleet, Worker
from aimass.serving.generation import Generation
from aimass.serving.state import Loaded, LoadOrder, ModelEntry, Preparation, Table, VersionRef, VersionUse
from aimass.serving.trial import Trial
from aimass.serving.watcher import Watcher

LOAD_TIMEOUT_S = 300.0
FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 300.0

MOST_UNKNOWN = 100
"""Versions asked for in vain within one poll of the registry, after which it is not asked about others."""

log = logging.getLogger(__name__)
Key = tuple[str, str]


@dataclass
class Record:
    """What the supervisor knows of one version of a model."""

    ref: VersionRef
    project: str = ""
    folder: str = ""
    state: VersionState = "loading"
    error: str = ""
    loaded_at: datetime | None = None
    memory_bytes: int = 0
    classes: list[str] = field(default_factory=list)
    failures: int = 0
    retry_at: float = 0.0
    asked_for: bool = False
    """Whether somebody loaded this very version, so that no alias needs to point at it."""


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
    """

    def __init__(self, config: ServeConfig, generation: Generation, cache: Cache, watcher: Watcher) -> None:
        self.desired = Table()
        self.table = Table(not_ready="The models are not loaded yet")
        self.records: dict[Key, Record] = {}
        self.alarms: dict[str, str] = {}
        self.fleet: Fleet
        self._config = config
        self._generation = generation
        self._cache = cache
        self._watcher = watcher
        self._trial = Trial(config)
        self._evicted: set[str] = set()
        self._unknown: dict[Key, float] = {}
        self._uses: dict[Key, VersionUse] = {}
        self._counted: dict[tuple[int, Key], int] = {}
        self._columns: dict[str, set[str]] = defaultdict(set)
        self._switching = asyncio.Lock()
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # --- the whole --------------------------------------------------------------------------------------------------

    async def converge(self, *, patient: bool = True) -> None:
        """Make every model as `desired` says, as far as possible; what is not gets an alarm.

        With `patient`, a version that failed lately is not tried again before its time.
        """
        if not patient:
            for record in self.records.values():
                record.retry_at = 0.0
        names = self.desired.models.keys() | self.table.models.keys()
        await asyncio.gather(*(self._converge(name) for name in sorted(names)))

    async def set_ready(self) -> None:
        """Let the workers say that they are ready."""
        async with self._switching:
            await self._switch(msgspec.structs.replace(self.table, not_ready=""))

    def is_active(self, name: str) -> bool:
        """Return whether a model is in memory, or ought to be from the start."""
        if "*" in self._config.prewarm or any(model == name for model, _ in self.records):
            return name not in self._evicted
        return name in {each.split("@")[0] for each in (*self._config.prewarm, *self._config.pins)} - self._evicted

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
            ref = wanted.versions.get(number) or await self._look_for(name, number)
            if ref.state == "archived":
                raise NotFoundError(f"Version {number} of {name!r} is archived", hint="Ask for another version")
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
            record = self.records.get((name, version))
            if record is None:
                raise NotFoundError(f"Version {version} of {name!r} is not in memory")
            entry = self.table.models.get(name)
            pointing = [alias for alias, number in entry.aliases.items() if number == version] if entry else []
            if pointing:
                raise UnavailableError(
                    f"Version {version} of {name!r} is what {', '.join(pointing)} points at",
                    hint="Move the alias in the registry first",
                )
            record.asked_for = False
            if name in self.desired.models:
                await self._deploy(name, self.desired.models[name])
            await self._drop(name, [version])

    async def shadow(self, name: str, version: str, rows: int) -> ShadowReport:
        """Try a version beside the one that answers now; it is loaded for that where need be."""
        if self._record(name, version) is None:
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

    def note_uses(self, pid: int, uses: Iterable[tuple[str, str, VersionUse]]) -> None:
        """Take over how much each version was asked in one worker, since it was loaded there."""
        for name, version, use in uses:
            counted = self._counted.get((pid, (name, version)), 0)
            more = use.requests - counted if use.requests >= counted else use.requests
            self._counted[pid, (name, version)] = use.requests
            before = self._uses.get((name, version), VersionUse())
            self._uses[name, version] = VersionUse(before.requests + more, max(before.last_at, use.last_at))

    def use(self, name: str, version: str) -> VersionUse:
        """Return how much a version was asked since the server started."""
        return self._uses.get((name, version), VersionUse())

    def classes(self, name: str) -> list[str]:
        """Return the spellings of the labels 0 and 1, as far as a version of the model is in memory."""
        return next((record.classes for (model, _), record in self.records.items() if model == name), [])

    def is_pinned(self, name: str, version: str = "") -> bool:
        """Return whether a model (or a version of it) stays in memory whatever the budget says."""
        return any(pin == name or pin == f"{name}@{version}" for pin in self._config.pins)

    # --- one model --------------------------------------------------------------------------------------------------

    async def _converge(self, name: str) -> None:
        async with self._locks[name]:
            wanted = self.desired.models.get(name)
            try:
                if wanted is None:
                    await self._replace(name, None)
                    await self._drop(name, [number for model, number in self.records if model == name])
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
        entry = ModelEntry(
            wanted.project,
            aliases,
            self._in_memory(name, wanted, aliases),
            _shares({alias: share for alias, share in wanted.traffic.items() if alias in aliases}),
            sorted(self._columns[name] | set(served.columns)),
        )
        await self._replace(name, entry)
        self._alarm(name, "; ".join(problems))
        left = [number for model, number in self.records if model == name and number not in entry.versions]
        await self._drop(name, [number for number in left if self.records[name, number].state != "failed"])

    async def _take_over(self, name: str, version: str, wanted: ModelEntry, before: str) -> None:
        """Load a version that an alias is to point at, and try it beside the one before."""
        ref = wanted.versions.get(version) or await self._look_for(name, version)
        await self._have(name, version, ref)
        if before and before != version:
            report = await self._trial.run(self.fleet, name, version, before, self._config.shadow_rows)
            if not report.ok:
                error = UnavailableError("; ".join(report.reasons))
                self._note_failure(self.records[name, version], error)
                await self.fleet.ask_all("unload", (name, [version]))
                raise error

    async def _have(self, name: str, version: str, ref: VersionRef, *, asked_for: bool = False) -> None:
        """Load a version on every worker unless it is there; raises why it cannot be."""
        record = self.records.get((name, version))
        if record is None or record.ref.digest != ref.digest:
            record = self.records[name, version] = Record(ref)
        record.asked_for |= asked_for
        if record.state == "ready":
            return
        if time.monotonic() < record.retry_at:
            raise UnavailableError(record.error)
        record.state = "loading"
        try:
            await self._load(name, version, record)
        except AimassError as error:
            self._note_failure(record, error)
            raise

    async def _load(self, name: str, version: str, record: Record) -> None:
        started = time.monotonic()

        def obtain() -> str:
            digest = record.ref.digest
            return str(self._cache.obtain(digest, lambda to: self._watcher.fetch(name, version, digest, to)))

        record.folder = await asyncio.to_thread(obtain)
        wanted = self.desired.models.get(name)
        record.project = wanted.project if wanted is not None else record.project
        order = self._order(name, version, record)
        answers = await self.fleet.ask_in_turn("load", order, Loaded, timeout_s=LOAD_TIMEOUT_S)
        record.memory_bytes = max(answer.memory_bytes for answer in answers)
        record.classes = answers[0].classes
        self._columns[name] |= set(answers[0].columns)
        try:
            await self._make_room(name, version, record)
        except AimassError:
            await self.fleet.ask_all("unload", (name, [version]))
            raise
        record.state, record.error, record.failures = "ready", "", 0
        record.loaded_at = datetime.now(UTC)
        log.info("loaded %s version %s in %.2f s", name, version, time.monotonic() - started)

    async def _make_room(self, name: str, version: str, new: Record) -> None:
        """Take the least recently used models out of memory until `new` fits into the budget."""
        budget = self._config.memory_budget_mb << 20
        while (over := new.memory_bytes + self._memory_bytes() - budget) > 0:
            others = {model for model, _ in self.records if model != name and not self._has_pin(model)}
            # One that is changing now is left alone.
            loaded = [model for model in others if self._is_loaded(model) and not self._locks[model].locked()]
            if not loaded:
                raise UnavailableError(
                    f"There is no room for it: it takes {new.memory_bytes >> 20} MiB, {over >> 20} MiB too many",
                    expected=f"at most memory_budget_mb = {self._config.memory_budget_mb} in all",
                    hint="Raise memory_budget_mb, or serve fewer models",
                )
            await self._evict(min(loaded, key=self._last_use))

    async def _evict(self, name: str) -> None:
        log.info("%s leaves memory: it is the least recently used", name)
        async with self._locks[name]:
            entry = self.table.models.get(name)
            if entry is not None:
                await self._replace(name, msgspec.structs.replace(entry, versions={}))
            await self._drop(name, [number for model, number in self.records if model == name])
            self._evicted.add(name)

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
        await self.fleet.ask_all("prepare", self._preparation(table), timeout_s=LOAD_TIMEOUT_S)
        self.table = table
        self._generation.write(table.generation)
        await asyncio.to_thread(self._cache.save_table, table)

    async def _drop(self, name: str, versions: list[str]) -> None:
        """Take versions out of memory; requests that hold them are answered first."""
        if versions:
            for version in versions:
                self.records.pop((name, version), None)
            await self.fleet.ask_all("unload", (name, versions))

    # --- small things -----------------------------------------------------------------------------------------------

    def _order(self, name: str, version: str, record: Record) -> LoadOrder:
        return LoadOrder(name, version, record.ref.digest, record.folder, record.project)

    def _preparation(self, table: Table) -> Preparation:
        orders = [
            self._order(name, version, self.records[name, version])
            for name, entry in table.models.items()
            for version in entry.versions
        ]
        return Preparation(table, orders)

    def _in_memory(self, name: str, wanted: ModelEntry, aliases: Mapping[str, str]) -> dict[str, VersionRef]:
        """Return the versions that stay in memory: those an alias points at, or somebody asked for."""
        pinned = {pin.partition("@")[2] for pin in self._config.pins if pin.startswith(f"{name}@")}
        kept = {*aliases.values(), *pinned}
        ready = {number: record for (model, number), record in self.records.items() if model == name}
        return {
            number: wanted.versions.get(number, record.ref)
            for number, record in sorted(ready.items())
            if record.state == "ready" and (number in kept or (record.asked_for and record.ref.state != "archived"))
        }

    async def _look_at(self, name: str) -> ModelEntry:
        entry = await asyncio.to_thread(self._watcher.look_at, name)
        if entry is None:
            raise NotFoundError(f"No model {name!r} is in the registry", known=self.desired.models)
        self.desired = msgspec.structs.replace(self.desired, models={**self.desired.models, name: entry})
        return entry

    async def _look_for(self, name: str, version: str) -> VersionRef:
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

    def _record(self, name: str, version: str) -> Record | None:
        record = self.records.get((name, version))
        return record if record is not None and record.state == "ready" else None

    def _note_failure(self, record: Record, error: AimassError) -> None:
        record.failures += 1
        record.state, record.error = "failed", str(error)
        record.retry_at = time.monotonic() + min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** (record.failures - 1))

    def _alarm(self, name: str, why: str) -> None:
        if why and self.alarms.get(name) != why:
            log.error("%s: %s", name, why)
        if why:
            self.alarms[name] = why
        else:
            self.alarms.pop(name, None)

    def _memory_bytes(self) -> int:
        return sum(record.memory_bytes for record in self.records.values() if record.state == "ready")

    def _is_loaded(self, name: str) -> bool:
        return any(model == name and record.state == "ready" for (model, _), record in self.records.items())

    def _has_pin(self, name: str) -> bool:
        return any(pin.split("@")[0] == name for pin in self._config.pins)

    def _last_use(self, name: str) -> float:
        """Return when a model was last asked, or loaded."""
        mine = [(version, record) for (model, version), record in self.records.items() if model == name]
        loaded = [record.loaded_at.timestamp() for _, record in mine if record.loaded_at is not None]
        return max([*loaded, *(self.use(name, version).last_at for version, _ in mine)])


def _without(aliases: Mapping[str, str], alias: str) -> dict[str, str]:
    return {name: version for name, version in aliases.items() if name != alias}


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weights so that they sum to 1."""
    total = sum(weights.values())
    return {alias: weight / total for alias, weight in weights.items()} if total else {}


def digests(tables: Iterable[Table]) -> set[str]:
    """Return the digest of every version in the tables."""
    return {ref.digest for table in tables for entry in table.models.values() for ref in entry.versions.values()}

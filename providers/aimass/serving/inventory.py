"""What the supervisor knows of every version: in memory or not, since when, how large, how much asked."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from aimass.core.endpoints.status import VersionState
from aimass.core.errors import AimassError
from aimass.serving.config import ServeConfig
from aimass.serving.state import LoadOrder, ModelEntry, VersionRef, VersionUse

FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 300.0

Key = tuple[str, str]
"""Model and version."""


@dataclass
class Record:
    """One version of a model."""

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
    """In `time.monotonic`: before it, a version that failed is not tried again."""
    is_asked_for: bool = False
    """Whether somebody loaded this very version, so that no alias needs to point at it."""

    def fail(self, error: AimassError) -> None:
        """Note that it could not be loaded or may not take over, and when to try again."""
        self.failures += 1
        self.state, self.error = "failed", str(error)
        self.retry_at = time.monotonic() + min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** (self.failures - 1))

    def succeed(self, at: datetime) -> None:
        """Note that it is in memory."""
        self.state, self.error, self.failures, self.loaded_at = "ready", "", 0, at


class Inventory:
    """The records of all versions, by model and version.

    Parameters
    ----------
    config : ServeConfig
        Says what is pinned.
    """

    def __init__(self, config: ServeConfig) -> None:
        self.records: dict[Key, Record] = {}
        self._config = config
        self._uses: dict[Key, VersionUse] = {}
        self._counted: dict[tuple[int, Key, str], int] = {}

    def get(self, name: str, ref: VersionRef, version: str) -> Record:
        """Return the record of a version, a fresh one where the digest is another than before."""
        record = self.records.get((name, version))
        if record is None or record.ref.digest != ref.digest:
            record = self.records[name, version] = Record(ref)
        return record

    def of(self, name: str) -> dict[str, Record]:
        """Return the records of a model by version, in order."""
        return {version: record for (model, version), record in sorted(self.records.items()) if model == name}

    def is_known(self, name: str) -> bool:
        """Return whether a version of the model is in memory, coming, or failed to be."""
        # A copy: the watcher asks from a thread of its own.
        return any(model == name for model, _ in list(self.records))

    def is_ready(self, name: str, version: str) -> bool:
        """Return whether the version is in memory."""
        record = self.records.get((name, version))
        return record is not None and record.state == "ready"

    def order(self, name: str, version: str) -> LoadOrder:
        """Return what a worker is told to load it by."""
        record = self.records[name, version]
        return LoadOrder(name, version, record.ref.digest, record.folder, record.project)

    def staying(self, name: str, wanted: ModelEntry, aliases: Mapping[str, str]) -> dict[str, VersionRef]:
        """Return the versions that stay in memory: those an alias points at, pinned ones, those somebody asked for."""
        kept = {*aliases.values(), *self.pinned_versions(name)}
        refs = {version: wanted.versions.get(version, record.ref) for version, record in self.of(name).items()}
        return {
            version: ref
            for version, ref in refs.items()
            if self.is_ready(name, version)
            and (version in kept or (self.records[name, version].is_asked_for and ref.state != "archived"))
        }

    def forget_patience(self) -> None:
        """Let every version that failed be tried again at once."""
        for record in self.records.values():
            record.retry_at = 0.0

    # --- pins -------------------------------------------------------------------------------------------------------

    def pinned_versions(self, name: str) -> list[str]:
        """Return the versions of a model that are pinned or loaded from the start by number."""
        given = [each.partition("@") for each in (*self._config.pins, *self._config.prewarm)]
        return sorted({version for model, _, version in given if model == name and version})

    def is_pinned(self, name: str, version: str) -> bool:
        """Return whether a version stays in memory whatever the budget says."""
        return any(pin in (name, f"{name}@{version}") for pin in self._config.pins)

    def has_pin(self, name: str) -> bool:
        """Return whether anything of the model is pinned."""
        return any(pin.partition("@")[0] == name for pin in self._config.pins)

    # --- memory -----------------------------------------------------------------------------------------------------

    def memory_bytes(self) -> int:
        """Return what all versions in memory are counted with."""
        return sum(record.memory_bytes for record in self.records.values() if record.state == "ready")

    def loaded_models(self) -> set[str]:
        """Return the models with a version in memory."""
        return {model for (model, _), record in self.records.items() if record.state == "ready"}

    def last_use(self, name: str) -> float:
        """Return when a model was last asked, or loaded, in seconds since 1970."""
        records = self.of(name)
        loaded = [record.loaded_at.timestamp() for record in records.values() if record.loaded_at is not None]
        return max([0.0, *loaded, *(self.use(name, version).last_at for version in records)])

    # --- use --------------------------------------------------------------------------------------------------------

    def note_uses(self, pid: int, uses: Iterable[tuple[str, str, VersionUse]]) -> None:
        """Take over how much each version was asked in one worker, since it was loaded there."""
        for name, version, use in uses:
            key = name, version
            before = self.use(name, version)
            callers = dict(before.callers)
            for token, requests in use.callers.items():
                callers[token] = callers.get(token, 0) + self._more((pid, key, token), requests)
            requests = before.requests + self._more((pid, key, ""), use.requests)
            self._uses[key] = VersionUse(requests, max(before.last_at, use.last_at), callers)

    def _more(self, counter: tuple[int, Key, str], count: int) -> int:
        """Return by how much a worker's counter has grown; one that is smaller than before began anew."""
        counted = self._counted.get(counter, 0)
        self._counted[counter] = count
        return count - counted if count >= counted else count

    def use(self, name: str, version: str) -> VersionUse:
        """Return how much a version was asked since the server started."""
        return self._uses.get((name, version), VersionUse())

    def classes(self, name: str) -> list[str]:
        """Return the spellings of the labels 0 and 1, as far as a version of the model is in memory."""
        return next((record.classes for record in self.of(name).values() if record.classes), [])

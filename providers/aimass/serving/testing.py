"""In-process fakes of what a worker is given, for tests of the request side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aimass.core.features.row_encoder import Block
from aimass.serving.context import IndexEntry, PredictionRecord, Resolved
from aimass.serving.errors import ModelNotFoundError, NotLoadedError, UnavailableError, VersionNotFoundError
from aimass.serving.loaded import LoadedModel


@dataclass
class MemoryTable:
    """A table that a test fills.

    Attributes
    ----------
    versions : dict of (model, version) to LoadedModel
        What is in memory.
    aliases : dict of (model, alias) to str
        The version that each points at.
    on_demand : dict of (model, version) to LoadedModel
        What `ensure` brings into memory.
    deprecated : set of (model, version)
        What answers with a warning.
    why_not_ready : str
        What `not_ready` says.
    """

    versions: dict[tuple[str, str], LoadedModel] = field(default_factory=dict)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)
    on_demand: dict[tuple[str, str], LoadedModel] = field(default_factory=dict)
    deprecated: set[tuple[str, str]] = field(default_factory=set)
    why_not_ready: str = ""

    def put(self, loaded: LoadedModel, alias: str = "champion") -> None:
        """Have a version in memory, and `alias` point at it."""
        self.versions[loaded.name, loaded.version] = loaded
        self.aliases[loaded.name, alias] = loaded.version

    def resolve(
        self, model: str, *, version: str | None = None, alias: str | None = None, route_key: str = ""
    ) -> Resolved:
        """Return the version that answers; there is no traffic split here."""
        if model not in self.names():
            raise ModelNotFoundError(model, self.names())
        name = "" if version else alias or "champion"
        number = version or self.aliases.get((model, name), "")
        found = self.versions.get((model, number))
        if found is not None:
            return Resolved(found, name, (model, number) in self.deprecated)
        if (model, number) in self.on_demand:
            raise NotLoadedError(f"Version {number} of {model} is not in memory yet", retry_after_s=1.0)
        raise VersionNotFoundError(
            f"{model} has no {f'version {version!r}' if version else f'alias {name!r}'}",
            known=[each for owner, each in (self.versions if version else self.aliases) if owner == model],
        )

    async def ensure(
        self, model: str, *, version: str | None = None, alias: str | None = None, route_key: str = ""
    ) -> Resolved:
        """Bring what is on demand into memory."""
        number = version or self.aliases.get((model, alias or "champion"), "")
        if (model, number) not in self.on_demand:
            raise UnavailableError(f"Version {number} of {model} cannot be loaded", retry_after_s=1.0)
        self.versions[model, number] = self.on_demand[model, number]
        return self.resolve(model, version=version, alias=alias, route_key=route_key)

    def names(self) -> list[str]:
        """Return the models, sorted."""
        return sorted({name for name, _ in [*self.versions, *self.on_demand]})

    def index(self) -> list[IndexEntry]:
        """Return what is in memory."""
        return [IndexEntry(name, version, "ready") for name, version in sorted(self.versions)]

    def known_columns(self, model: str) -> frozenset[str]:
        """Return the columns of every version."""
        everything = [*self.versions.values(), *self.on_demand.values()]
        return frozenset(column.name for each in everything if each.name == model for column in each.columns)

    def not_ready(self) -> str:
        """Return what the test set."""
        return self.why_not_ready


class MemoryJournal:
    """Keeps what it is given in `records`."""

    def __init__(self) -> None:
        self.records: list[PredictionRecord] = []

    def append(self, record: PredictionRecord) -> None:
        """Keep it, with rows of its own."""
        block = Block._make(matrix.copy() for matrix in record.block)
        self.records.append(record._replace(block=block))


class MemoryControl:
    """Answers from `answers` (a value, or an error to raise), and keeps what it was asked in `calls`."""

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.answers = dict(answers or {})
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Answer at once."""
        self.calls.append((method, dict(params)))
        answer = self.answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer

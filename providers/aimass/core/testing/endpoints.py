"""An inference server in memory: it watches a registry, runs the released graphs, and keeps what it was asked."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from aimass.core import settings
from aimass.core.deps import Deps, Runtime
from aimass.core.endpoints.base import LateLabel
from aimass.core.endpoints.status import (
    MetricSample,
    ModelSample,
    RegistryStatus,
    ServedModel,
    ServedVersion,
    ServerStatus,
    ShadowReport,
)
from aimass.core.errors import AimassError, ConfigError, NotFoundError, UnreachableError
from aimass.core.features.raw import RawColumn
from aimass.core.features.row_encoder import encode_rows
from aimass.core.release.base import GRAPH_FILE, SERVE_TAG, STATE_TAG, TRAFFIC_TAG, RegisteredModel, Version
from aimass.core.release.promotion import open_registry

COLUMNS_FILE = "graph.json"
DEFAULT_ALIAS = "champion"
RECENT_ROWS = 200


class MemoryEndpointSettings(settings.Settings):
    """Which server in memory, and the registry that it watches."""

    server: str = Field(default="memory", description="Its name; the same name and store are the same server.")
    store: str = Field(description="Root of the store that the registry belongs to.")
    registry: dict[str, Any] = Field(default_factory=lambda: {"type": "memory"}, description="The registry.")
    tracking_uri: str | None = Field(default=None, description="Address of an MLflow registry.")


class LoadedGraph:
    """A version in memory.

    Parameters
    ----------
    version : Version
        The version.
    folder : Path
        Where its graph and its columns are.
    """

    def __init__(self, version: Version, folder: Path) -> None:
        import onnxruntime as ort

        self.version = version
        self.requests = 0
        self.last_at: datetime | None = None
        self._columns = [
            RawColumn.model_validate(item) for item in json.loads((folder / COLUMNS_FILE).read_text())["raw"]
        ]
        self._session = ort.InferenceSession(str(folder / GRAPH_FILE), providers=["CPUExecutionProvider"])
        self._classes = json.loads(self._session.get_modelmeta().custom_metadata_map["aimass.classes"])

    def answer(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return probability and label of each row."""
        probabilities, labels = self._session.run(["probability", "label"], encode_rows(rows, self._columns))
        return [
            {"probability": float(probability), "label": self._classes[int(label)]}
            for probability, label in zip(probabilities, labels, strict=True)
        ]


@dataclass
class _Model:
    aliases: dict[str, str] = field(default_factory=dict)
    traffic: dict[str, float] = field(default_factory=dict)
    loaded: dict[str, LoadedGraph] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    alarm: str = ""
    recent: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    labels: list[LateLabel] = field(default_factory=list)


@dataclass
class Server:
    """The server behind every MemoryEndpoint of the same name and store.

    Attributes
    ----------
    down : bool
        Set by tests: it does not answer then.
    stuck : bool
        Set by tests: it answers, and does not act on what the registry asks for.
    models : dict
        What it serves, by name.
    """

    name: str
    started_at: datetime
    down: bool = False
    stuck: bool = False
    generation: int = 0
    models: dict[str, _Model] = field(default_factory=dict)
    registry: RegistryStatus = field(default_factory=lambda: RegistryStatus(reachable=False))
    samples: list[MetricSample] = field(default_factory=list)


_SERVERS: dict[tuple[str, str], Server] = {}


class MemoryEndpoint:
    """Serves as long as the process lives."""

    Settings: ClassVar[type[settings.Settings]] = MemoryEndpointSettings

    def __init__(self, settings: MemoryEndpointSettings) -> None:
        self.settings = settings
        self._deps = Deps.from_runtime(Runtime(store=settings.store, tracking_uri=settings.tracking_uri))
        self._registry = open_registry(settings.registry, self._deps)
        key = (settings.server, self._deps.store.root)
        known = key in _SERVERS
        self.server = _SERVERS.setdefault(key, Server(settings.server, datetime.now(UTC)))
        if not known:
            self._look()

    def is_ready(self) -> bool:
        """Return whether the server takes requests; False, too, where it does not answer."""
        return not self.server.down

    def status(self) -> ServerStatus:
        """Return what the server serves."""
        self._check()
        return ServerStatus(
            server_id=self.server.name,
            started_at=self.server.started_at,
            generation=self.server.generation,
            registry=self.server.registry,
            models=[_served(name, model) for name, model in sorted(self.server.models.items())],
        )

    def sync(self) -> ServerStatus:
        """Have the server look at the registry now; return what it serves once it has acted on what it saw."""
        self._check()
        self._look()
        return self.status()

    def load(self, model: str, version: str) -> ServerStatus:
        """Have a version in memory, warm; return once it is, or has failed."""
        self._load(self._model(model), self._version(model, version))
        return self.status()

    def unload(self, model: str, version: str) -> ServerStatus:
        """Drain a version that no alias points at, and take it out of memory."""
        served = self._model(model)
        self._version(model, version)
        if version in served.aliases.values():
            raise ConfigError(f"An alias points at version {version} of {model!r}", hint="Move the alias first")
        served.loaded.pop(version, None)
        served.failed.pop(version, None)
        return self.status()

    def shadow(self, model: str, version: str, *, rows: int = RECENT_ROWS) -> ShadowReport:
        """Try a version on the server's most recent requests, beside what was answered then."""
        served = self._model(model)
        found = self._version(model, version)
        return self._shadow(model, served, found, rows)

    def samples(self, since: datetime | None = None) -> list[MetricSample]:
        """Return what the server measured after `since`, oldest first; each look ends an interval."""
        self._check()
        now = datetime.now(UTC)
        begun = self.server.samples[-1].at if self.server.samples else self.server.started_at
        models = {
            name: ModelSample(requests=sum(model.counts.values()), versions=dict(model.counts))
            for name, model in self.server.models.items()
        }
        for model in self.server.models.values():
            model.counts.clear()
        sample = MetricSample(
            at=now, interval_s=(now - begun).total_seconds(), server_id=self.server.name, models=models
        )
        self.server.samples.append(sample)
        return [each for each in self.server.samples if since is None or each.at > since]

    def predict(self, model: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the answer to rows given as objects, as ``POST /predict/<model>`` gives it."""
        served = self._model(model)
        number = served.aliases.get(DEFAULT_ALIAS, "")
        if number not in served.loaded:
            raise NotFoundError(f"No version of {model!r} is served", hint=served.alarm or None)
        graph = served.loaded[number]
        answers = graph.answer(rows)
        graph.requests += 1
        graph.last_at = datetime.now(UTC)
        served.counts[number] = served.counts.get(number, 0) + 1
        served.recent = [*served.recent, *zip(rows, answers, strict=True)][-RECENT_ROWS:]
        request_id = f"{self.server.name}-{model}-{number}-{graph.requests}"
        return {
            "model": model,
            "version": number,
            "alias": DEFAULT_ALIAS,
            "request_id": request_id,
            "predictions": answers,
        }

    def label(self, model: str, labels: Sequence[LateLabel]) -> None:
        """Tell what predictions should have been."""
        self._model(model).labels.extend(labels)

    def _check(self) -> None:
        if self.server.down:
            raise UnreachableError(f"The server {self.server.name} does not answer", hint="Start it, then retry")

    def _model(self, name: str) -> _Model:
        self._check()
        if name not in self.server.models:
            raise NotFoundError(f"The server {self.server.name} serves no model {name!r}", known=self.server.models)
        return self.server.models[name]

    def _version(self, name: str, number: str) -> Version:
        found = self._registry.version(name, number)
        if found is None:
            raise NotFoundError(f"The model {name!r} has no version {number}", hint="Check its number")
        return found

    def _look(self) -> None:
        if self.server.stuck:
            return
        try:
            wanted = {model.name: model for model in self._registry.models() if model.tags.get(SERVE_TAG) != "off"}
            for name in list(self.server.models):
                if name not in wanted:
                    del self.server.models[name]
            for name, model in wanted.items():
                self._follow(self.server.models.setdefault(name, _Model()), model)
            self.server.registry = RegistryStatus(reachable=True, checked_at=datetime.now(UTC))
        except UnreachableError as error:
            self.server.registry = RegistryStatus(reachable=False, checked_at=datetime.now(UTC), error=str(error))

    def _follow(self, served: _Model, model: RegisteredModel) -> None:
        """Do what the registry asks for; an alias stays where it is while its new version cannot take over."""
        served.alarm = ""
        before = dict(served.aliases)
        served.traffic = json.loads(model.tags.get(TRAFFIC_TAG, "{}"))
        for alias, number in model.aliases.items():
            version = self._version(model.name, number)
            if version.tags.get(STATE_TAG) == "archived" or not self._load(served, version):
                served.alarm = served.failed.get(number, f"Version {number} is archived, and {alias} points at it")
                continue
            report = self._shadow(model.name, served, version, RECENT_ROWS)
            if report.ok:
                served.aliases[alias] = number
            else:
                served.alarm = f"Version {number} may not take over: {'; '.join(report.reasons)}"
        served.aliases = {alias: number for alias, number in served.aliases.items() if alias in model.aliases}
        self.server.generation += served.aliases != before
        for number in served.loaded.keys() - set(served.aliases.values()):
            if (found := self._registry.version(model.name, number)) is None or found.tags.get(STATE_TAG) == "archived":
                del served.loaded[number]

    def _load(self, served: _Model, version: Version) -> bool:
        if version.version in served.loaded:
            return True
        with tempfile.TemporaryDirectory(prefix="aimass-endpoint-") as folder:
            try:
                self._registry.fetch(version, [GRAPH_FILE, COLUMNS_FILE], Path(folder))
                served.loaded[version.version] = LoadedGraph(version, Path(folder))
            except AimassError as error:
                served.failed[version.version] = str(error)
                return False
        served.failed.pop(version.version, None)
        return True

    def _shadow(self, name: str, served: _Model, version: Version, rows: int) -> ShadowReport:
        against = served.aliases.get(DEFAULT_ALIAS, "")
        report = ShadowReport(model=name, version=version.version, against=against, rows=0, source="example", ok=True)
        if not self._load(served, version):
            return report.model_copy(update={"ok": False, "reasons": [served.failed[version.version]]})
        recent = served.recent[-rows:]
        if not recent:
            return report
        try:
            answers = served.loaded[version.version].answer([row for row, _ in recent])
        except AimassError as error:
            failed = {"rows": len(recent), "failed_rows": len(recent), "ok": False, "reasons": [str(error)]}
            return report.model_copy(update={**failed, "source": "recent"})
        differences = np.array(
            [new["probability"] - old["probability"] for new, (_, old) in zip(answers, recent, strict=True)]
        )
        failed_rows = int(np.isnan(differences).sum())
        figures = {
            "rows": len(recent),
            "failed_rows": failed_rows,
            "mean_abs_diff": float(np.nan_to_num(np.abs(differences)).mean()),
            "max_abs_diff": float(np.nan_to_num(np.abs(differences)).max()),
            "label_changes": sum(new["label"] != old["label"] for new, (_, old) in zip(answers, recent, strict=True)),
            "source": "recent",
            "ok": not failed_rows,
            "reasons": [f"{failed_rows} of {len(recent)} rows have no answer"] if failed_rows else [],
        }
        return report.model_copy(update=figures)


def _served(name: str, model: _Model) -> ServedModel:
    ready = [
        ServedVersion(
            version=number,
            digest=graph.version.digest,
            state="ready",
            requests=graph.requests,
            last_request_at=graph.last_at,
        )
        for number, graph in model.loaded.items()
    ]
    failed = [
        ServedVersion(version=number, digest="", state="failed", error=error) for number, error in model.failed.items()
    ]
    return ServedModel(
        name=name, aliases=dict(model.aliases), traffic=model.traffic, versions=[*ready, *failed], alarm=model.alarm
    )

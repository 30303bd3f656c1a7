"""What workers ask the supervisor for: a version in memory, and everything below ``/aimass``."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from aimass.core.endpoints.status import ServedModel, ServedVersion, ServerStatus
from aimass.core.errors import ConfigError, NotFoundError, StorageFullError
from aimass.serving.errors import MalformedError
from aimass.serving.fleet import Worker
from aimass.serving.journal import LabelFrame
from aimass.serving.state import ModelEntry

if TYPE_CHECKING:
    from aimass.serving.supervisor import Supervisor


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Since(msgspec.Struct, forbid_unknown_fields=True):
    since: datetime | None = None


class _Version(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    version: str


class _Shadow(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    version: str
    rows: int


class _Label(msgspec.Struct, forbid_unknown_fields=True):
    request_id: str
    label: str | int | float | bool
    row: int = 0


class _Labels(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    labels: list[_Label]


class Control:
    """Answers workers.

    Parameters
    ----------
    supervisor : Supervisor
        Whose server it is.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._methods: dict[str, tuple[type[Any], Callable[[Any], Awaitable[Any]]]] = {
            "status": (_Nothing, self._status),
            "samples": (_Since, self._samples),
            "sync": (_Nothing, self._sync),
            "load": (_Version, self._load),
            "unload": (_Version, self._unload),
            "shadow": (_Shadow, self._shadow),
            "labels": (_Labels, self._labels),
        }

    async def answer(self, _: Worker, method: str, body: msgspec.Raw) -> Any:
        """Answer one question of a worker; what it raises goes back to it."""
        if method == "ensure":
            await self._supervisor.deployment.ensure(*msgspec.msgpack.decode(body))
            return None
        kind, function = self._methods[method.removeprefix("admin/")]
        try:
            params = msgspec.msgpack.decode(body, type=kind)
        except msgspec.ValidationError as error:
            raise MalformedError(
                f"{method} was asked wrongly: {error}", expected=", ".join(kind.__struct_fields__)
            ) from None
        return await function(params)

    # --- methods ----------------------------------------------------------------------------------------------------

    async def _status(self, _: _Nothing) -> Any:
        readings = await self._supervisor.readings()
        return (await self.status([reading.worker for reading in readings])).model_dump(mode="json")

    async def _samples(self, params: _Since) -> Any:
        return [sample.model_dump(mode="json") for sample in self._supervisor.samples.since(params.since)]

    async def _sync(self, params: _Nothing) -> Any:
        await self._supervisor.look(patient=False)
        return await self._status(params)

    async def _load(self, params: _Version) -> Any:
        await self._supervisor.deployment.ensure(params.model, params.version, None)
        return await self._status(_Nothing())

    async def _unload(self, params: _Version) -> Any:
        await self._supervisor.deployment.unload(params.model, params.version)
        return await self._status(_Nothing())

    async def _shadow(self, params: _Shadow) -> Any:
        report = await self._supervisor.deployment.shadow(params.model, params.version, params.rows)
        return report.model_dump(mode="json")

    async def _labels(self, params: _Labels) -> Any:
        supervisor = self._supervisor
        entry = supervisor.deployment.table.models.get(params.model)
        if entry is None:
            raise NotFoundError(f"No model {params.model!r} is served here", known=supervisor.deployment.table.models)
        if supervisor.labels is None:
            raise ConfigError("This server keeps no log", hint="Start it with the option store")
        numbers = _numbers(supervisor.deployment.inventory.classes(params.model))
        labels = [(label.request_id, label.row, _number(label, numbers)) for label in params.labels]
        if labels and not supervisor.labels.append(LabelFrame(params.model, entry.project, time.time(), labels)):
            raise StorageFullError("There is no room for the labels", hint="Free some space, then send them again")
        return {"accepted": len(labels)}

    # --- documents --------------------------------------------------------------------------------------------------

    async def status(self, workers: list[Any]) -> ServerStatus:
        """Return the server as it stands."""
        supervisor = self._supervisor
        deployment = supervisor.deployment
        names = sorted(
            {*deployment.table.models, *deployment.alarms, *(name for name, _ in deployment.inventory.records)}
        )
        return ServerStatus(
            server_id=supervisor.config.name,
            started_at=supervisor.started_at,
            generation=deployment.table.generation,
            draining=supervisor.draining,
            registry=supervisor.registry_status,
            models=[self._model(name) for name in names],
            workers=workers,
        )

    def _model(self, name: str) -> ServedModel:
        deployment = self._supervisor.deployment
        entry = deployment.table.models.get(name) or ModelEntry("", {}, {})
        versions = [
            ServedVersion(
                version=version,
                digest=record.ref.digest,
                state=record.state,
                error=record.error,
                loaded_at=record.loaded_at,
                memory_bytes=record.memory_bytes,
                pinned=deployment.inventory.is_pinned(name, version),
                requests=use.requests,
                last_request_at=_moment(use.last_at),
                callers=use.callers,
            )
            for version, record in deployment.inventory.of(name).items()
            for use in [deployment.inventory.use(name, version)]
        ]
        alias = self._supervisor.config.alias
        in_memory = {alias: number for alias, number in entry.aliases.items() if number in entry.versions}
        return ServedModel(
            name=name,
            aliases=in_memory,
            traffic=entry.traffic or ({alias: 1.0} if alias in in_memory else {}),
            versions=versions,
            alarm=deployment.alarms.get(name, ""),
        )


def _moment(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _numbers(classes: list[str]) -> dict[str, int]:
    """Return what each spelling of a label means."""
    return {"0": 0, "1": 1, **{name: number for number, name in enumerate(classes)}}


def _number(label: _Label, numbers: Mapping[str, int]) -> int:
    """Return 0 or 1 for a label as the training data spells it, or as 0, 1, true or false."""
    value = label.label
    spelled = str(value)
    if spelled in numbers:
        return numbers[spelled]
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return int(value)
    raise MalformedError(
        f"The label of request {label.request_id!r}, row {label.row}, is {value!r}", known=list(numbers)
    )

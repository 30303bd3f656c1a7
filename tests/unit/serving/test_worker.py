from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aimass.core.errors import ConfigError, NotFoundError
from aimass.core.storage import file_digest
from aimass.serving.config import ServeConfig
from aimass.serving.errors import UnavailableError
from aimass.serving.generation import Generation
from aimass.serving.link import Link, RemoteError
from aimass.serving.shadow import TrialOrder
from aimass.serving.state import LoadOrder, ModelEntry, Preparation, StartOrder, Table, VersionRef
from aimass.serving.worker import SupervisorControl, Worker
from tests.services.folder_registry import COLUMNS, write_model

Scene = Callable[[Worker, Generation], Awaitable[None]]


def play(scene: Scene, tmp_path: Path) -> None:
    """Have a worker in this process, without a supervisor."""

    async def whole() -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            generation = Generation.make()
            config = ServeConfig(cache_dir=tmp_path).model_dump(mode="json")
            order = StartOrder(0, config, datetime.now(UTC), listener.detach(), generation.descriptor)
            worker = Worker(Link(lambda method, body: asyncio.sleep(0)), order)
            await scene(worker, generation)
            await worker.front.close()

    asyncio.run(whole())


def order(tmp_path: Path, version: str = "1") -> LoadOrder:
    folder = tmp_path / version
    folder.mkdir()
    write_model(folder, float(version), COLUMNS)
    return LoadOrder("late", version, file_digest(folder / "model.onnx"), str(folder), "flights")


def table(number: int, version: str) -> Table:
    return Table(number, {"late": ModelEntry("flights", {"champion": version}, {version: VersionRef("d")})})


def test_a_version_that_left_the_table_leaves_memory_once_its_requests_are_answered(tmp_path: Path) -> None:
    async def scene(worker: Worker, generation: Generation) -> None:
        one, two = order(tmp_path, "1"), order(tmp_path, "2")
        await worker.prepare(Preparation(table(1, "1"), [one]))
        generation.write(1)
        loaded = worker.table.resolve("late").loaded
        left = weakref.ref(loaded)
        loaded.in_flight = 1
        assert (await worker.load(two)).columns == ["origin", "distance", "stops"]
        await worker.prepare(Preparation(table(2, "2"), [one, two]))
        assert worker.table.resolve("late").loaded.version == "1"
        generation.write(2)
        await worker.unload(("late", ["1"]))
        await asyncio.sleep(0.1)
        loaded.in_flight = 0
        del loaded
        await asyncio.sleep(0.2)
        gc.collect()
        assert left() is None
        assert worker.table.resolve("late").loaded.version == "2"

    play(scene, tmp_path)


def test_a_version_is_loaded_once_and_tried_only_when_it_is_there(tmp_path: Path) -> None:
    async def scene(worker: Worker, _: Generation) -> None:
        one = order(tmp_path)
        await worker.load(one)
        first = worker.table.memory["late", "1"]
        await worker.load(one)
        assert worker.table.memory["late", "1"] is first
        assert (await worker.try_version(TrialOrder("late", "1", []))).source == "example"
        with pytest.raises(ConfigError, match="not in memory"):
            await worker.try_version(TrialOrder("late", "9", []))
        report = await worker.report(None)
        assert [(name, version) for name, version, _ in report.uses] == [("late", "1")]

    play(scene, tmp_path)


def test_what_the_supervisor_refuses_is_the_error_that_it_was() -> None:
    class Refusing:
        def __init__(self, code: str) -> None:
            self.code = code

        async def ask(self, *_: object, **__: object) -> None:
            raise RemoteError("it said no", code=self.code)

    for code, kind in (("NotFoundError", NotFoundError), ("UnavailableError", UnavailableError), ("Odd", RemoteError)):
        with pytest.raises(kind, match="it said no"):
            asyncio.run(SupervisorControl(Refusing(code)).call("status", {}))  # type: ignore[arg-type]

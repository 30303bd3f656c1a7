"""One worker process: answers requests on the socket it inherits, and does what the supervisor says."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from aimass.core import errors as engine_errors
from aimass.core.errors import AimassError, ConfigError
from aimass.serving import errors as serving_errors
from aimass.serving.config import ServeConfig
from aimass.serving.context import WorkerContext
from aimass.serving.front import Front
from aimass.serving.generation import Generation
from aimass.serving.journal import JournalFile, WorkerJournal
from aimass.serving.link import Link, RemoteError
from aimass.serving.loaded import LoadedModel
from aimass.serving.logs import set_up_logs
from aimass.serving.requests import Recent, RecentRequest
from aimass.serving.shadow import TrialOrder, TrialOutcome, try_version
from aimass.serving.state import Loaded, LoadOrder, Preparation, Report, StartOrder, VersionUse
from aimass.serving.table import WorkerTable

LATER_PRIORITY = 10
"""How much nicer than requests loading and trying are."""

THREAD_TURN_S = 0.0005
"""After how long a thread that loads or tries must let the loop go on; Python's own 5 ms would be seen in the p99."""

DRAIN_LOOK_S = 0.05

log = logging.getLogger(__name__)


class SupervisorControl:
    """The way to the supervisor, for what ``/aimass/…`` asks."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Ask; raises what the supervisor raised, as the error of the tree that it was."""
        try:
            return await self._link.ask(f"admin/{method}", dict(params), timeout_s=600.0)
        except RemoteError as error:
            raise _as_it_was(error) from error


class Worker:
    """Everything in one worker process.

    Parameters
    ----------
    link : Link
        The way to the supervisor.
    order : StartOrder
        What it was started with.
    """

    def __init__(self, link: Link, order: StartOrder) -> None:
        self.config = ServeConfig.model_validate(order.config)
        self.recent = Recent(self.config.shadow_rows)
        file = None
        if order.journal_folder:
            limit = (self.config.log_limit_mb << 20) // self.config.workers
            file = JournalFile(Path(order.journal_folder), order.slot, limit)
        self.journal = WorkerJournal(file, self.config.log_sample, self.config.threads, self.recent)
        self.table = WorkerTable(Generation(order.generation), self.config.alias, self._ensure)
        self.context = WorkerContext(
            config=self.config,
            table=self.table,
            journal=self.journal,
            control=SupervisorControl(link),
            metrics_dir=order.metrics_folder,
            started_at=order.started_at,
        )
        self._link = link
        self._draining: set[asyncio.Task[None]] = set()
        # One thread, nicer than the loop's: a load takes what requests leave.
        self._aside = ThreadPoolExecutor(1, "load", initializer=_be_nice)
        self.front = Front(self.context, order.listener)

    async def prepare(self, order: Preparation) -> None:
        """Have what the next table names in memory, and take the table."""
        for each in order.orders:
            await self.load(each)
        self.table.prepare(order.table)
        await self.front.open()

    async def load(self, order: LoadOrder) -> Loaded:
        """Have a version in memory, warm."""
        loaded = self.table.memory.get((order.model, order.version))
        if loaded is None or loaded.digest != order.digest:
            loaded = await asyncio.get_running_loop().run_in_executor(self._aside, self._load, order)
            self.table.memory[order.model, order.version] = loaded
        return Loaded(loaded.memory_bytes, [column.name for column in loaded.columns], list(loaded.classes))

    async def unload(self, order: tuple[str, list[str]]) -> None:
        """Let go of versions; requests that hold one keep it until they are answered."""
        name, versions = order
        for version in versions:
            loaded = self.table.memory.pop((name, version), None)
            if loaded is not None:
                task = asyncio.get_running_loop().create_task(self._drain(loaded))
                self._draining.add(task)
                task.add_done_callback(self._draining.discard)

    async def _drain(self, loaded: LoadedModel) -> None:
        # An idle worker would hold on to the table before until its next request.
        self.table.names()
        while loaded.in_flight:
            await asyncio.sleep(DRAIN_LOOK_S)
        # They hold each other; with this, its memory is free at once.
        loaded.batcher = None

    async def recent_requests(self, order: tuple[str, int]) -> list[RecentRequest]:
        """Return the newest requests of a model."""
        return self.recent.newest(*order)

    async def try_version(self, order: TrialOrder) -> TrialOutcome:
        """Try a version that is in memory."""
        loaded = self.table.memory.get((order.model, order.version))
        if loaded is None:
            raise ConfigError(f"Version {order.version} of {order.model!r} is not in memory", hint="Load it first")
        return await asyncio.get_running_loop().run_in_executor(self._aside, try_version, loaded, order.requests)

    async def rotate(self, unsealed_bytes: int) -> bool:
        """End the journal, so that it is sealed."""
        return self.journal.rotate(unsealed_bytes)

    async def report(self, _: None) -> Report:
        """Return what happened so far."""
        uses = [
            (name, version, VersionUse(loaded.requests, loaded.last_request_at, _callers(loaded)))
            for (name, version), loaded in self.table.memory.items()
        ]
        return Report(uses, self.front.queue_rows(), self.front.counted(), self.journal.dropped_rows)

    def _load(self, order: LoadOrder) -> LoadedModel:
        folder = Path(order.folder)
        loaded = LoadedModel.load(
            folder / "model.onnx",
            folder / "graph.json",
            name=order.model,
            version=order.version,
            digest=order.digest,
            project=order.project,
            threads=self.config.threads,
        )
        loaded.warm()
        return loaded

    async def _ensure(self, model: str, version: str | None, alias: str | None) -> None:
        await self._link.ask("ensure", (model, version, alias), timeout_s=600.0)


def _callers(loaded: LoadedModel) -> dict[str, int]:
    return loaded.batcher.tally.callers() if loaded.batcher is not None else {}


async def _main(descriptor: int) -> None:
    worker: Worker | None = None
    born = asyncio.Event()

    async def answer(method: str, body: msgspec.Raw) -> Any:
        nonlocal worker
        if method == "start":
            worker = Worker(link, msgspec.msgpack.decode(body, type=StartOrder))
            set_up_logs()
            born.set()
            return None
        assert worker is not None
        kind, function = _methods(worker)[method]
        return await function(msgspec.msgpack.decode(body, type=kind))

    link = Link(answer)
    await link.open(socket.socket(fileno=descriptor))
    running = asyncio.create_task(link.run())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # The terminal sends it to the whole group; the supervisor says when.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    # Without its supervisor a worker would serve an old table for ever.
    running.add_done_callback(lambda _: stop.set())
    await stop.wait()
    if worker is not None:
        await worker.front.close()
        worker.journal.rotate(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _methods(worker: Worker) -> dict[str, tuple[Any, Callable[[Any], Awaitable[Any]]]]:
    return {
        "prepare": (Preparation, worker.prepare),
        "load": (LoadOrder, worker.load),
        "unload": (tuple[str, list[str]], worker.unload),
        "recent": (tuple[str, int], worker.recent_requests),
        "try": (TrialOrder, worker.try_version),
        "rotate": (int, worker.rotate),
        "report": (None, worker.report),
    }


def _as_it_was(error: RemoteError) -> AimassError:
    """Return the error that the other side raised, as far as its class can be made from a text."""
    for module in (engine_errors, serving_errors):
        kind = getattr(module, error.code, None)
        if isinstance(kind, type) and issubclass(kind, AimassError):
            made = AimassError.__new__(kind)
            AimassError.__init__(made, str(error))
            if isinstance(made, serving_errors.ServingError):
                made.retry_after_s = None
            return made
    return error


def _be_nice() -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LATER_PRIORITY)


def main() -> None:
    """Run the worker whose supervisor is at the other end of the descriptor in ``argv[1]``."""
    import uvloop

    sys.setswitchinterval(THREAD_TURN_S)
    # What is imported stays. A full collection that looks through it would stop the loop for 10 ms and more.
    gc.freeze()
    uvloop.run(_main(int(sys.argv[1])))


if __name__ == "__main__":
    main()

"""The process that keeps a server: its workers, its view of the registry, its table, its log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil

from aimass.core.deps import safe_name
from aimass.core.endpoints.status import RegistryStatus, WorkerStatus
from aimass.core.errors import AimassError, from_os_error
from aimass.core.release.base import ModelRegistry
from aimass.serving.cache import Cache
from aimass.serving.config import ServeConfig
from aimass.serving.control import Control
from aimass.serving.deployment import Deployment, digests
from aimass.serving.fleet import Fleet, Worker
from aimass.serving.generation import Generation
from aimass.serving.journal import JournalFile, unsealed_bytes
from aimass.serving.listening import bound_sockets
from aimass.serving.samples import Reading, Samples
from aimass.serving.sealer import Sealer
from aimass.serving.security import Tokens, tls_context
from aimass.serving.state import Report, StartOrder, Table
from aimass.serving.survey import oddities
from aimass.serving.watcher import Watcher

SHARED_MEMORY = "/dev/shm"  # noqa: S108 (a folder with a random name is made in it)
SAMPLE_S = 10.0
START_TIMEOUT_S = 60.0
LONGEST_FLUSH_S = 1800.0
LABELS_SLOT = 999
MOST_LOOKS = 4
"""Looks at the registry that may be acted on at the same time."""

log = logging.getLogger(__name__)


class Supervisor:
    """One server.

    Parameters
    ----------
    config : ServeConfig
        The options.
    registry : ModelRegistry
        What it watches.
    address : str
        Where that is, for the log.
    """

    def __init__(self, config: ServeConfig, registry: ModelRegistry, address: str = "") -> None:
        self.config = config
        self.started_at = datetime.now(UTC)
        self.registry_status = RegistryStatus(reachable=False, error="It was not asked yet")
        self.draining = False
        self._registry = registry
        self._address = address
        self._is_surveyed = False
        self._watcher = Watcher(registry, config.models)
        self._looking = asyncio.Lock()
        self._dropped: dict[int, int] = {}
        self._first_worker = asyncio.Event()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; requests in flight are answered, and the log is sealed, before it returns.

        Raises
        ------
        ConfigError
            The address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        # Mistakes in these are told now, and not by each worker.
        Tokens.read(self.config.tokens_file)
        tls_context(self.config)
        listeners = await self._listen()
        # In memory where that can be: a process whose metrics find no room on a disk would die of it.
        shared = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="aimass-serve-", dir=shared) as folder:
            self._build(listeners, Path(folder))
            tasks = [asyncio.create_task(self._forever(work)) for work in (self._watch, self._measure, self._flush)]
            log.info("%s listens on %s:%d", self.config.name, self.config.host, self.config.port)
            await self._stop.wait()
            await self._drain(tasks)

    # --- parts ------------------------------------------------------------------------------------------------------

    async def _listen(self) -> list[socket.socket]:
        config = self.config
        listeners = await bound_sockets(config.host, config.port, config.workers)
        ports = {"port": listeners[0].getsockname()[1]}
        if config.grpc_port is not None:
            # Never listens: it keeps the port for the workers, which gRPC opens by itself.
            self._grpc_port = (await bound_sockets(config.host, config.grpc_port, 1))[0]
            ports["grpc_port"] = self._grpc_port.getsockname()[1]
        self.config = config.model_copy(update=ports)
        return listeners

    def _build(self, listeners: list[socket.socket], folder: Path) -> None:
        config = self.config
        self.generation = Generation.make()
        self.cache = Cache(config.cache_dir, safe_name(config.name))
        self.samples = Samples(config.name, SAMPLE_S)
        self._journals = config.cache_dir / "journals" / safe_name(config.name)
        self.labels: JournalFile | None = None
        self._sealer: Sealer | None = None
        if config.store:
            try:
                self._journals.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise from_os_error(error, doing="making the folder of journals") from error
            self.labels = JournalFile(self._journals, LABELS_SLOT, config.log_limit_mb << 20)
            self._sealer = Sealer(config.store, self._journals.parent, config.log_sample)
        self._metrics_folder = folder
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        from aimass.serving.vitals import Vitals

        self._vitals = Vitals()
        self.deployment = Deployment(config, self.generation, self.cache, self._watcher, self._vitals)
        self.control = Control(self)
        self.fleet = Fleet(listeners, (self.generation.descriptor,), self.control.answer, self._bring_up, self._ended)
        self.deployment.fleet = self.fleet
        self.fleet.start()

    async def _bring_up(self, worker: Worker, listener: int) -> None:
        order = StartOrder(
            slot=worker.slot,
            config=self.config.model_dump(mode="json"),
            started_at=self.started_at,
            listener=listener,
            generation=self.generation.descriptor,
            journal_folder=str(self._journals) if self._sealer is not None else "",
            metrics_folder=str(self._metrics_folder),
        )
        await worker.ask("start", order, timeout_s=START_TIMEOUT_S)
        await self.deployment.bring_up(worker)
        self._first_worker.set()

    def _ended(self, worker: Worker) -> None:
        from aimass.serving.vitals import forget_worker

        forget_worker(worker.process.pid, str(self._metrics_folder))

    # --- what goes on -----------------------------------------------------------------------------------------------

    async def look(self, *, patient: bool = True) -> None:
        """Look at the registry, and act on what is there; a registry that does not answer leaves all as it is."""
        await self._first_worker.wait()
        async with self._looking:
            try:
                found = await asyncio.to_thread(self._watcher.look, self.deployment.is_active)
                await self._survey(found)
            except AimassError as error:
                if self.registry_status.reachable or self.registry_status.checked_at is None:
                    log.error("the registry does not answer: %s", error)
                self.registry_status = RegistryStatus(reachable=False, checked_at=datetime.now(UTC), error=str(error))
            else:
                self.registry_status = RegistryStatus(reachable=True, checked_at=datetime.now(UTC))
                self.deployment.desired = found
        await self.deployment.converge(patient=patient)
        if self.registry_status.reachable and self.deployment.table.not_ready:
            await self.deployment.set_ready()
        self._tell()

    async def _survey(self, found: Table) -> None:
        """Log once what is found in which registry, and what is hardly meant."""
        if self._is_surveyed:
            return
        odd = await asyncio.to_thread(oddities, self.config, self._registry, found)
        self._is_surveyed = True
        log.info("the registry %s has %d models to serve", self._address, len(found.models))
        for sentence in odd:
            log.warning("%s The registry is %s", sentence, self._address)

    async def readings(self) -> list[Reading]:
        """Return what every worker counts and uses now."""
        workers = list(self.fleet.workers.values())
        answers = await asyncio.gather(*(self._reading(worker) for worker in workers), return_exceptions=True)
        return [answer for answer in answers if isinstance(answer, Reading)]

    async def _watch(self) -> None:
        await self._first_worker.wait()
        known = await asyncio.to_thread(self.cache.load_table)
        if known is not None:
            # What was served last is served at once, whether the registry answers or not.
            self.deployment.desired = msgspec.structs.replace(known, generation=0, not_ready="")
            await self.deployment.converge()
            if not self.deployment.alarms:
                await self.deployment.set_ready()
            self._tell()
        looks: set[asyncio.Task[None]] = set()
        while True:
            # A model that takes long to load must not keep the others from being switched.
            if len(looks) < MOST_LOOKS:
                looks.add(asyncio.create_task(self.look()))
            done, looks = await asyncio.wait(looks, timeout=self.config.registry_poll_s)
            for look in done:
                look.result()
            if not looks:
                await asyncio.to_thread(self.cache.prune, digests([self.deployment.table]))
                await asyncio.sleep(self.config.registry_poll_s)

    async def _measure(self) -> None:
        while True:
            self.samples.take(datetime.now(UTC), await self.readings())
            self._tell()
            await asyncio.sleep(SAMPLE_S)

    async def _flush(self) -> None:
        while self._sealer is not None:
            # First of all, what a server that was killed has left.
            await self._sealer.seal()
            await asyncio.sleep(min(self.config.log_flush_s, LONGEST_FLUSH_S))
            await self._rotate()

    def _tell(self) -> None:
        deployment = self.deployment
        names = {*deployment.table.models, *deployment.alarms}
        self._vitals.tell(
            generation=deployment.table.generation,
            reachable=self.registry_status.reachable,
            deaths=self.fleet.deaths,
            models={name: deployment.alarms.get(name, "") for name in names},
            records=deployment.inventory.records,
        )

    async def _rotate(self) -> None:
        left = await asyncio.to_thread(unsealed_bytes, self._journals)
        self._vitals.tell_log(unsealed_bytes=left, dropped_rows=sum(self._dropped.values()))
        await self.fleet.ask_all("rotate", left // self.config.workers)
        if self.labels is not None:
            self.labels.close(left)

    async def _reading(self, worker: Worker) -> Reading:
        report = await worker.ask("report", None, Report, timeout_s=5.0)
        self.deployment.inventory.note_uses(worker.process.pid, report.uses)
        self._dropped[worker.process.pid] = report.dropped_rows
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(worker.process.pid)
            times, disk = process.cpu_times(), process.io_counters()
            status = WorkerStatus(
                pid=worker.process.pid,
                started_at=worker.started_at,
                cpu_s=times.user + times.system,
                rss_bytes=process.memory_info().rss,
                read_bytes=disk.read_bytes,
                write_bytes=disk.write_bytes,
                queue_rows=report.queue_rows,
            )
            return Reading(status, report.models)
        return Reading(WorkerStatus(pid=worker.process.pid, started_at=worker.started_at), report.models)

    async def _forever(self, work: Any) -> None:
        """Go on with `work` whatever happens to it: a server serves on where something beside it fails."""
        while True:
            try:
                await work()
                return
            except Exception:
                log.exception("%s failed and goes on", work.__name__.strip("_"))
                await asyncio.sleep(self.config.registry_poll_s)

    # --- the end ----------------------------------------------------------------------------------------------------

    async def _drain(self, tasks: list[asyncio.Task[None]]) -> None:
        self.draining = True
        log.info("%s drains", self.config.name)
        for task in tasks:
            task.cancel()
        if self.config.drain_delay_s:
            await self._turn_away()
        started = time.monotonic()
        await self.fleet.stop(self.config.drain_timeout_s)
        if self.labels is not None and self._sealer is not None:
            self.labels.close()
            await self._sealer.seal(max(5.0, self.config.drain_timeout_s - (time.monotonic() - started)))
            await self._sealer.close()
        log.info("%s ended after %.1f s", self.config.name, time.monotonic() - started)

    async def _turn_away(self) -> None:
        """Answer, and no longer say ready, until whoever sends requests has seen it; another signal cuts that short."""
        self._stop.clear()
        await self.deployment.set_ready("the server is about to end")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), self.config.drain_delay_s)

"""The worker processes: started, watched, started anew when they die, asked all at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aimass.core.errors import UnreachableError
from aimass.serving.link import Link, RemoteError

if TYPE_CHECKING:
    import msgspec

SHORT_LIFE_S = 10.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0

log = logging.getLogger(__name__)


@dataclass
class Worker:
    """One process that answers requests.

    Attributes
    ----------
    slot : int
        Its place among the workers; a successor gets the same.
    process : asyncio.subprocess.Process
        The process.
    link : Link
        How it is asked.
    started_at : datetime
        When it was started (UTC).
    """

    slot: int
    process: asyncio.subprocess.Process
    link: Link
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def ask(self, method: str, body: Any = None, kind: Any = None, *, timeout_s: float = 60.0) -> Any:
        """Ask the process; see `Link.ask`."""
        return await self.link.ask(method, body, kind, timeout_s=timeout_s)

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()


class Fleet:
    """All workers of a server.

    Parameters
    ----------
    listeners : list of socket
        One bound socket per worker. They stay open here: a connection that waits for a worker which dies is taken by
        its successor.
    descriptors : tuple of int
        What else every worker inherits.
    answer : callable
        Called with worker, method and body when a worker asks.
    bring_up : callable
        Called with a worker that has started and its listener; makes it equal to the others, and takes it into the
        fleet.
    ended : callable
        Called with a worker that has ended.
    """

    def __init__(
        self,
        listeners: list[socket.socket],
        descriptors: tuple[int, ...],
        answer: Callable[[Worker, str, msgspec.Raw], Awaitable[Any]],
        bring_up: Callable[[Worker, int], Awaitable[None]],
        ended: Callable[[Worker], None],
    ) -> None:
        self.workers: dict[int, Worker] = {}
        self.deaths = 0
        self._listeners = listeners
        self._descriptors = descriptors
        self._answer = answer
        self._bring_up = bring_up
        self._ended = ended
        self._stopping = False
        self._processes: set[asyncio.subprocess.Process] = set()
        self._keepers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start every worker."""
        self._keepers = [asyncio.create_task(self._keep(slot)) for slot in range(len(self._listeners))]

    async def ask_all(self, method: str, body: Any = None, kind: Any = None, *, timeout_s: float = 60.0) -> list[Any]:
        """Ask every worker; return the answers of those that still live.

        Raises
        ------
        RemoteError
            A worker could not do it.
        """
        return await self._ask(list(self.workers.values()), method, body, kind, timeout_s)

    async def ask_most(self, method: str, body: Any = None, *, timeout_s: float = 60.0) -> None:
        """Have every worker do something; one that cannot while another can is started anew.

        Raises
        ------
        RemoteError
            None of them could.
        """
        workers = list(self.workers.values())
        answers = await asyncio.gather(
            *(worker.ask(method, body, timeout_s=timeout_s) for worker in workers), return_exceptions=True
        )
        refusals = [answer for answer in answers if isinstance(answer, RemoteError)]
        if refusals and len(refusals) == len(answers):
            raise refusals[0]
        for worker, answer in zip(workers, answers, strict=True):
            if isinstance(answer, BaseException):
                self._replace(worker, answer)

    async def ask_in_turn(
        self, method: str, body: Any = None, kind: Any = None, *, timeout_s: float = 60.0
    ) -> list[Any]:
        """Ask one worker, then all others, so that what kills a process kills one.

        Raises
        ------
        RemoteError
            A worker could not do it.
        UnreachableError
            No worker runs, or one died of it.
        """
        workers = list(self.workers.values())
        if not workers:
            raise UnreachableError("No worker runs now", hint="See the log; it is tried again")
        answers = await self._ask(workers[:1], method, body, kind, timeout_s)
        if not answers:
            raise UnreachableError("The worker that tried it died or hung", hint="See the log; it is tried again")
        return answers + await self._ask(workers[1:], method, body, kind, timeout_s)

    async def ask_one(self, method: str, body: Any = None, kind: Any = None, *, timeout_s: float = 60.0) -> Any:
        """Ask some worker; raises what `ask_in_turn` raises."""
        for worker in list(self.workers.values()):
            answers = await self._ask([worker], method, body, kind, timeout_s)
            if answers:
                return answers[0]
        raise UnreachableError("No worker runs now", hint="See the log; it is tried again")

    async def _ask(self, workers: list[Worker], method: str, body: Any, kind: Any, timeout_s: float) -> list[Any]:
        asked = (worker.ask(method, body, kind, timeout_s=timeout_s) for worker in workers)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        return self._judge(workers, answers)

    def _judge(self, workers: list[Worker], answers: list[Any]) -> list[Any]:
        refusals = [answer for answer in answers if isinstance(answer, RemoteError)]
        for worker, answer in zip(workers, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, RemoteError):
                self._replace(worker, answer)
        if refusals:
            raise refusals[0]
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    def _replace(self, worker: Worker, why: BaseException) -> None:
        """End a worker that is gone, hangs or cannot follow; a fresh one starts from what the others have."""
        log.warning("worker %d is started anew: %s", worker.process.pid, why)
        worker.kill()
        self.workers.pop(worker.slot, None)

    async def stop(self, timeout_s: float) -> None:
        """Let every worker finish its requests and end; kill what is left after `timeout_s`."""
        self._stopping = True
        for listener in self._listeners:
            listener.close()
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=timeout_s)
        for process in list(self._processes):
            log.warning("worker %d did not end within %g s and is killed", process.pid, timeout_s)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _keep(self, slot: int) -> None:
        """Have a worker in `slot` until the server stops."""
        pause_s = FIRST_PAUSE_S
        while True:
            started = time.monotonic()
            try:
                await self._live(slot)
            except Exception:
                # Whatever went wrong with this one, the next may live.
                log.exception("a worker could not be kept")
            if self._stopping:
                return
            self.deaths += 1
            pause_s = FIRST_PAUSE_S if time.monotonic() - started > SHORT_LIFE_S else min(LONGEST_PAUSE_S, pause_s * 2)
            await asyncio.sleep(pause_s)

    async def _live(self, slot: int) -> None:
        """Start one process and wait for its end."""
        ours, theirs = socket.socketpair()
        listener = self._listeners[slot].fileno()
        with theirs:
            arguments = ("-m", "aimass.serving.worker", str(theirs.fileno()))
            inherited = (theirs.fileno(), listener, *self._descriptors)
            process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, pass_fds=inherited, start_new_session=False
            )
        self._processes.add(process)
        link = Link(lambda method, body: self._answer(worker, method, body))
        worker = Worker(slot, process, link)
        await link.open(ours)
        running = asyncio.create_task(link.run())
        try:
            await self._bring_up(worker, listener)
        except Exception as error:  # noqa: BLE001 (whatever it is, a worker that is not like the others must go)
            log.error("worker %d could not be brought up: %s", process.pid, error)
            worker.kill()
        code = await process.wait()
        if not self._stopping:
            log.error("worker %d ended with %d", process.pid, code)
        self._processes.discard(process)
        if self.workers.get(slot) is worker:
            del self.workers[slot]
        link.close()
        await asyncio.gather(running, return_exceptions=True)
        self._ended(worker)

"""The process that seals journals, as the supervisor keeps it: asked now and then, started anew when it died."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from pathlib import Path

from aimass.core.errors import UnreachableError

SEAL_TIMEOUT_S = 300.0

log = logging.getLogger(__name__)


class Sealer:
    """Asks the sealing process, one time after the other.

    Parameters
    ----------
    store : str
        Root of the store that takes the segments.
    journals : Path
        Holds a folder of journals for each server.
    sampled : float
        Share of the requests that the journals hold.
    """

    def __init__(self, store: str, journals: Path, sampled: float) -> None:
        self._arguments = ("--store", store, "--journals", str(journals), "--sampled", str(sampled))
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    async def seal(self, timeout_s: float = SEAL_TIMEOUT_S) -> None:
        """Have every journal sealed that nobody writes; what cannot be is left for the next time, and logged."""
        async with self._lock:
            try:
                answer = json.loads(await asyncio.wait_for(self._ask(), timeout_s))
            except (TimeoutError, OSError, ValueError, UnreachableError) as error:
                log.error("the prediction log is not sealed: %s", error or "it takes too long")
                await self._end()
                return
        for problem in answer["problems"]:
            log.error("not sealed: %s", problem)
        if answer["journals"]:
            log.info("sealed %d journals with %d rows", answer["journals"], answer["rows"])

    async def close(self) -> None:
        """End the process."""
        async with self._lock:
            await self._end()

    async def _ask(self) -> bytes:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "aimass.serving.sealing",
                *self._arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"seal\n")
        line = await self._process.stdout.readline()
        if not line:
            raise UnreachableError("The sealing process died; its journals are sealed next time")
        return line

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

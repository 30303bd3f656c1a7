"""Start a server for a benchmark, wait until it answers, and stop it and its children."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.serving.model import NAME, Released

START_S = 180
STOP_S = 20


def free_port() -> int:
    """Return a port of the loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """A server that runs: its port, and the process that it began as, where that is known."""

    port: int
    pid: int | None = None

    def cpu_s(self) -> float:
        """Return the CPU seconds that its processes have used so far; 0 where they are not known."""
        if self.pid is None:
            return 0.0
        first = psutil.Process(self.pid)
        return sum(sum(each.cpu_times()[:2]) for each in [first, *first.children(recursive=True)])


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    health: str,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[int]:
    """Run `command` in a process group of its own until the block ends; `health` answers 200 when it is ready.

    It runs in `folder`, where that is given; yields its process id.
    """
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
            cwd=folder,
        )
    try:
        for _ in range(START_S * 5):
            if answers(health):
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(0.2)
            if server.returncode is not None:
                raise SystemExit(f"{command} ended with {server.returncode}:\n{log.read_text()[-3000:]}")
        else:
            raise SystemExit(f"{command} did not answer at {health}:\n{log.read_text()[-3000:]}")
        yield server.pid
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(STOP_S)


def answers(url: str) -> bool:
    """Return whether the address answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def ours(model: Released, folder: Path, *, workers: int = 1) -> Iterator[Server]:
    """Run our server, everything on (prediction log, metrics, validation)."""
    port = free_port()
    options = ["--port", str(port), "--workers", str(workers), "--tracking-uri", model.tracking_uri]
    options += ["--cache-dir", str(folder / "cache"), "--store", (folder / "store").as_uri()]
    command = [sys.executable, "-m", "aimass.serving", *options]
    with running(command, health=f"http://127.0.0.1:{port}/v2/models/{NAME}/ready", log=folder / "ours.log") as pid:
        yield Server(port, pid)

"""Processes by identity: a number that may be reused, together with the moment and the boot it belongs to."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
POLL_S = 0.05
KILL_WAIT_S = 5.0
# Every service and all its children carry this variable; its value is the demo's folder.
MARKER = "AIMASS_DEMO_FOLDER"


@dataclass(frozen=True)
class Identity:
    """One process, for as long as the machine is up.

    Attributes
    ----------
    pid : int
        The process number.
    started : int
        Clock ticks between boot and its start; a later process with the same number differs here.
    boot : str
        The boot's id.
    """

    pid: int
    started: int
    boot: str

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs; one that only waits to be reaped does not."""
        return identify(self.pid) == self

    def send(self, signal_number: int) -> None:
        """Send a signal, unless the process is gone."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)


def identify(pid: int) -> Identity | None:
    """Return the identity of the running process `pid`, or None."""
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    return Identity(pid=pid, started=int(fields[19]), boot=_boot())


def of_sessions(leaders: Iterable[Identity]) -> list[Identity]:
    """Return the running processes of the sessions that `leaders` opened, whether those still run or not.

    The kernel gives out no number that still names a session, so members of a dead leader's session are its own.
    """
    ours = {leader.pid: leader for leader in leaders if leader.boot == _boot()}
    reused = {pid for pid, leader in ours.items() if (now := identify(pid)) is not None and now != leader}
    found = []
    for pid in _pids():
        fields = _stat(pid)
        if fields is not None and (session := int(fields[3])) in ours and session not in reused:
            found.append(identify(pid))
    return [identity for identity in found if identity is not None]


def marked(folder: Path) -> list[Identity]:
    """Return the running processes that were started for the demo in `folder`, whatever session they moved to."""
    wanted = f"{MARKER}={folder}".encode()
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            if wanted in (PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                found.append(identify(pid))
    return [identity for identity in found if identity is not None]


def stop(identities: Iterable[Identity], *, signal_number: int = signal.SIGTERM, grace_s: float) -> list[Identity]:
    """Send one signal to all, wait until they are gone, and return those that still run after `grace_s` seconds."""
    remaining = list(identities)
    for identity in remaining:
        identity.send(signal_number)
    deadline = time.monotonic() + grace_s
    while (remaining := [identity for identity in remaining if identity.is_alive]) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return remaining


def _pids() -> Iterator[int]:
    own = os.getpid()
    return (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit() and int(entry.name) != own)


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/<pid>/stat from the state on, or None where there is no such process."""
    with contextlib.suppress(OSError):
        # The second field is the program's name in parentheses, and may hold anything.
        return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return None


def _boot() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()

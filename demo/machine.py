"""What this machine has, against what the demo needs."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Collection
from pathlib import Path

from demo.errors import DemoError

# Airflow's four services and MLflow take about 1.9 GB, the largest task about 1 GB.
MEMORY_NEEDED_BYTES = 3_500_000_000
DISK_NEEDED_BYTES = 2_000_000_000
# Beyond these characters, SQLite's URLs and Airflow's settings read a path as something else.
FORBIDDEN_IN_PATHS = "?#%$~"
PORTS_TRIED = 200
REFUSED_BY_BROWSERS = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080}
)
"""The Fetch standard's bad ports from 1024 on."""
CGROUP = Path("/sys/fs/cgroup")


def check(folder: Path, *, memory_bytes: int | None = None, disk_bytes: int | None = None) -> None:
    """Raise DemoError with everything that is wrong: what was seen, what is needed, what to do."""
    memory = available_memory_bytes() if memory_bytes is None else memory_bytes
    disk = shutil.disk_usage(folder).free if disk_bytes is None else disk_bytes
    problems = []
    if memory < MEMORY_NEEDED_BYTES:
        problems.append(
            f"memory: {gigabytes(memory)} are free, {gigabytes(MEMORY_NEEDED_BYTES)} are needed. "
            "Close other programs, or give this machine or container more memory."
        )
    if disk < DISK_NEEDED_BYTES:
        problems.append(
            f"disk: {gigabytes(disk)} are free below {folder}, {gigabytes(DISK_NEEDED_BYTES)} are needed. "
            "Delete something, or choose another disk with --folder."
        )
    if bad := sorted(set(FORBIDDEN_IN_PATHS) & set(str(folder))):
        problems.append(
            f"path: {folder} holds {' '.join(bad)}, which SQLite addresses cannot. Choose another place with --folder."
        )
    if problems:
        raise DemoError("This machine cannot run the demo:\n" + "\n".join(f"  - {text}" for text in problems))


def available_memory_bytes() -> int:
    """Return the memory that new programs may take: what the system has left, or what the container may still use."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) * 1024
    for limit_file, used_file in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            limit, used = ((CGROUP / name).read_text().strip() for name in (limit_file, used_file))
        except OSError:
            continue
        if limit.isdigit():
            available = min(available, int(limit) - int(used) + _cache_bytes())
    return max(available, 0)


def cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def free_port(preferred: int, taken: Collection[int] = ()) -> int:
    """Return `preferred`, or the next port above that nobody listens on and browsers open."""
    for port in range(preferred, preferred + PORTS_TRIED):
        if port not in taken and port not in REFUSED_BY_BROWSERS and is_free(port):
            return port
    raise DemoError(
        f"No free port between {preferred} and {preferred + PORTS_TRIED - 1}. Stop what listens there, then try again."
    )


def is_free(port: int) -> bool:
    """Return whether a server could listen on `port`, on this machine's own address and on all of them."""
    for address in ("127.0.0.1", "0.0.0.0"):  # noqa: S104 - asks, never listens
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def gigabytes(size_bytes: int) -> str:
    """Return a size for people."""
    return f"{size_bytes / 1e9:.1f} GB"


def _cache_bytes() -> int:
    """Return the page cache that the container's limit counts as used, though the kernel gives it back on demand."""
    try:
        lines = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(lines.get("inactive_file", lines.get("total_inactive_file", 0)))

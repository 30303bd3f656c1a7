"""A program in a process of its own: what it says, and the memory it needed at most."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SHOWN_CHARACTERS = 3_000
# To a process's peak, Linux adds that of the one that started it: ours, which compares the rows, may be larger than
# what is measured. So a small one stands between them.
BETWEEN = """
import os, sys
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(usage.ru_maxrss))
sys.exit(1 if status else 0)
"""


def run_child(command: Sequence[str], *, what: str) -> tuple[str, float]:
    """Run `command`; return what it wrote to standard output, and its peak resident memory in MB.

    One that fails ends the benchmark with its name, `what`, and the end of what it wrote to standard error.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as errors, tempfile.NamedTemporaryFile("r") as peak:
        between = [sys.executable, "-S", "-c", BETWEEN, peak.name, *command]
        done = subprocess.run(between, stdout=subprocess.PIPE, stderr=errors, text=True, check=False)
        errors.seek(0)
        if done.returncode:
            raise SystemExit(f"{what} failed:\n{errors.read()[-SHOWN_CHARACTERS:]}")
        # Linux counts in KiB.
        return done.stdout, int(peak.read()) / 1024


def own_peak_mb() -> float:
    """Return this process's peak resident memory in MB, without that of the one that started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024

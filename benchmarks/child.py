"""A program in a process of its own: what it says, and the memory it needed at most."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence

SHOWN_CHARACTERS = 3_000


def run_child(command: Sequence[str], *, what: str) -> tuple[str, float]:
    """Run `command`; return what it wrote to standard output, and its peak resident memory in MB.

    One that fails ends the benchmark with its name, `what`, and the end of what it wrote to standard error.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert process.stdout
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{what} failed:\n{errors.read()[-SHOWN_CHARACTERS:]}")
    # Linux counts in KiB.
    return output, usage.ru_maxrss / 1024

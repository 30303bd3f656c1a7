"""Fail points that kill: steered by two files, so that they work in any process that inherits the environment."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

KILL_FILE = "AIMASS_TEST_KILL_FILE"
RECORD_FILE = "AIMASS_TEST_RECORD_FILE"


class FileFailpoints:
    """Kill this process with SIGKILL at the point that the kill file names, once.

    The kill file holds ``<point> <nth time>``; whoever takes it away dies, so that the retry lives. The record file
    gets the name of every point that is passed.
    """

    def __init__(self) -> None:
        self._kill_file = Path(os.environ.get(KILL_FILE, "/nonexistent"))
        self._record_file = os.environ.get(RECORD_FILE)
        self._passed: Counter[str] = Counter()

    def hit(self, name: str) -> None:
        """Pass the point `name`, or die there."""
        self._passed[name] += 1
        if self._record_file:
            with open(self._record_file, "a") as stream:
                stream.write(f"{name}\n")
        try:
            wanted = self._kill_file.read_text()
            if wanted != f"{name} {self._passed[name]}":
                return
            self._kill_file.rename(f"{self._kill_file}.{os.getpid()}")
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

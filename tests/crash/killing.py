"""Fail points that kill: steered by files, so that they work in any process that inherits the environment."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

KILL_FOLDER = "AIMASS_TEST_KILL_FOLDER"
RECORD_FILE = "AIMASS_TEST_RECORD_FILE"
ANY_TASK = "-"


class FileFailpoints:
    """Kill this process with SIGKILL at the points that the kill folder's files name, each once.

    A file holds ``<task> <point> <nth time>``; whoever takes it away dies, so that the retry lives. Outside Airflow
    there is no task: ``-``. The record file gets the name of every point that is passed.
    """

    def __init__(self) -> None:
        self._kill_folder = Path(os.environ.get(KILL_FOLDER, "/nonexistent"))
        self._record_file = os.environ.get(RECORD_FILE)
        self._task = os.environ.get("AIRFLOW_CTX_TASK_ID", ANY_TASK)
        self._passed: Counter[str] = Counter()

    def hit(self, name: str) -> None:
        """Pass the point `name`, or die there."""
        self._passed[name] += 1
        if self._record_file:
            with open(self._record_file, "a") as stream:
                stream.write(f"{name}\n")
        for file in self._kill_folder.glob("*.kill"):
            if file.read_text() == f"{self._task} {name} {self._passed[name]}":
                file.rename(file.with_suffix(".done"))
                os.kill(os.getpid(), signal.SIGKILL)


def order_kill(folder: Path, point: str, *, task: str = ANY_TASK) -> None:
    """Let the process that passes `point` (``<name> <nth time>``), in `task`, die there."""
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.iterdir()))
    (folder / f"{number}.new").write_text(f"{task} {point}")
    (folder / f"{number}.new").rename(folder / f"{number}.kill")

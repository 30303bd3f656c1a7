"""Fail points for tasks of a running Airflow: steered by files, which any process finds through its environment."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from pathlib import Path

KILL_FOLDER = "AIMASS_TEST_KILL_FOLDER"


class FileFailpoints:
    """Kill this process with SIGKILL at the points that the kill folder's files name, each once.

    A file holds ``<task> <point> <nth time>``; whoever takes it away dies, so that the retry lives.
    """

    def __init__(self) -> None:
        self._kill_folder = Path(os.environ.get(KILL_FOLDER, "/nonexistent"))
        self._task = os.environ.get("AIRFLOW_CTX_TASK_ID", "")
        self._passed: Counter[str] = Counter()

    def hit(self, name: str) -> None:
        """Pass the point `name`, or die there."""
        self._passed[name] += 1
        for file in self._kill_folder.glob("*.kill"):
            # Of a mapped task several processes pass here at once: who takes the file away first dies.
            with contextlib.suppress(FileNotFoundError):
                if file.read_text() == f"{self._task} {name} {self._passed[name]}":
                    file.rename(file.with_suffix(".done"))
                    os.kill(os.getpid(), signal.SIGKILL)


def order_kill(folder: Path, *, task: str, point: str) -> None:
    """Let the first process of `task` that passes `point` (``<name> <nth time>``) die there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{task}.kill").write_text(f"{task} {point}")

"""Tasks as processes that are forked from one with everything imported: killing hundreds of them costs no minutes."""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any
from uuid import uuid4

# What the one common ancestor of all tests' tasks imports; nothing there may start threads.
PRELOADED = ["tests.crash.ancestor"]
# A process that starts collects the others' ends, and each end can be read once: by one thread at a time.
ENDS = threading.Lock()
LONGEST_S = 120
Task = Callable[[dict[str, Any]], Any]


class Forks:
    """Runs functions in forked processes.

    Parameters
    ----------
    folder : Path
        Where processes leave their results.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)

    def run(self, task: Task, request: dict[str, Any], *, kill_after_s: float | None = None) -> Any:
        """Return what `task` returns, or None when its process was killed; any other end is a failure."""
        answer = self._folder / f"{uuid4().hex}.json"
        process = self._context.Process(target=_answer, args=(task, request, str(answer)))
        with ENDS:
            process.start()
        if kill_after_s is not None and not wait([process.sentinel], kill_after_s):
            process.kill()
        ended = wait([process.sentinel], LONGEST_S)
        assert ended, f"{task.__name__} goes on after {LONGEST_S} s"
        with ENDS:
            process.join()
        if process.exitcode == -9:
            return None
        assert process.exitcode == 0, f"{task.__name__} ended with {process.exitcode}"
        return json.loads(answer.read_text())


def _answer(task: Task, request: dict[str, Any], answer: str) -> None:
    Path(answer).write_text(json.dumps(task(request)))

"""Failpoints for crash tests: one that kills the process, one that only writes down what it passed."""

from __future__ import annotations

import os
import signal
from pathlib import Path


class KillAt:
    """Kill this very process with SIGKILL at a named point, once.

    Parameters
    ----------
    name : str
        The point; ``*`` counts every point.
    nth : int
        At which passing of it, from 1.
    marker : path
        A file that is made just before the kill. Where it exists already nothing happens, so that the retry of a
        killed process runs to its end.
    """

    def __init__(self, name: str, nth: int, marker: str | Path) -> None:
        self._name = name
        self._left = nth
        self._marker = Path(marker)

    def hit(self, name: str) -> None:
        """Count the passing of `name`, and kill when it is the one."""
        if self._name not in (name, "*") or self._marker.exists():
            return
        self._left -= 1
        if self._left == 0:
            self._marker.parent.mkdir(parents=True, exist_ok=True)
            self._marker.write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)


class FailAt:
    """Raise an error at a named point, once; a crash test inside one process.

    Parameters
    ----------
    name : str
        The point.
    nth : int
        At which passing of it, from 1.
    error : BaseException
        What is raised.
    """

    def __init__(self, name: str, nth: int = 1, error: BaseException | None = None) -> None:
        self._name = name
        self._left = nth
        self._error = error or KeyboardInterrupt(f"stopped at the failpoint {name}")

    def hit(self, name: str) -> None:
        """Count the passing of `name`, and raise when it is the one."""
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                raise self._error


class RecordingFailpoints:
    """Pass every point and keep their names in order.

    Attributes
    ----------
    names : list of str
        The points passed so far.
    """

    def __init__(self) -> None:
        self.names: list[str] = []

    def hit(self, name: str) -> None:
        """Note `name`."""
        self.names.append(name)

"""A tracker in memory, and the contract that every tracker keeps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from aimass.core.deps import Deps
from aimass.core.tracking import tracker_of


@dataclass
class MemoryRun:
    """What was recorded of one run."""

    run_id: str
    name: str
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, dict[int, float]] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    status: str = "RUNNING"

    @property
    def url(self) -> str:
        """Where a person would look at it."""
        return f"runs:/{self.run_id}"

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Record `metrics` unless the step is recorded already."""
        for name, value in metrics.items():
            self.metrics.setdefault(name, {}).setdefault(step, value)

    def log_artifact(self, path: Path, *, folder: str = "") -> None:
        """Note the file's name."""
        self.artifacts.append(f"{folder}/{path.name}".lstrip("/"))


class MemoryTracker:
    """Runs as long as the process lives: choose it by a tracking URI such as ``memory://anything``."""

    servers: ClassVar[dict[str, dict[str, MemoryRun]]] = {}
    """The runs by tracking URI and key: two trackers with one address see the same, as with a server."""

    def __init__(self, deps: Deps) -> None:
        self.runs = self.servers.setdefault(deps.runtime.tracking_uri or "", {})

    @contextlib.contextmanager
    def run(
        self, name: str, *, key: str, params: Mapping[str, Any], tags: Mapping[str, str] | None = None
    ) -> Iterator[MemoryRun]:
        """Open the run with `key`, or take it up again."""
        run = self.runs.setdefault(key, MemoryRun(f"run{len(self.runs)}", name, dict(tags or {})))
        run.status = "RUNNING"
        run.params.update({name: str(value) for name, value in params.items()})
        try:
            yield run
        except BaseException as error:
            run.status = "FAILED" if isinstance(error, Exception) else "KILLED"
            raise
        run.status = "FINISHED"


@dataclass(frozen=True)
class Recorded:
    """What a tracker kept of one run: status, parameters as text, each metric's steps and values as often as kept."""

    status: str
    params: dict[str, str]
    metrics: dict[str, list[tuple[int, float]]]


class TrackerContract:
    """Subclass it, and provide a fixture `deps` and the method `recorded`."""

    def recorded(self, deps: Deps) -> list[Recorded]:
        """Return every run that the tracker of `deps` keeps."""
        raise AssertionError("the subclass says how to look")

    def test_run_keeps_params_and_steps(self, deps: Deps) -> None:
        """Parameters are text, metrics have steps, and the end is noted."""
        with tracker_of(deps).run("first", key="a", params={"depth": 3}) as run:
            run.log_metrics({"auc": 0.5}, step=1)
            run.log_metrics({"auc": 0.75}, step=2)
            assert run.run_id
            assert run.run_id in run.url
        assert self.recorded(deps) == [Recorded("FINISHED", {"depth": "3"}, {"auc": [(1, 0.5), (2, 0.75)]})]

    def test_failing_block_ends_the_run_as_failed_and_passes_the_error_on(self, deps: Deps) -> None:
        """The block's own error reaches the caller."""
        with contextlib.suppress(ZeroDivisionError), tracker_of(deps).run("x", key="b", params={}) as run:
            run.log_metrics({"auc": 0.5}, step=1)
            raise ZeroDivisionError
        assert self.recorded(deps) == [Recorded("FAILED", {}, {"auc": [(1, 0.5)]})]

    def test_same_key_takes_the_run_up_again_without_doubling_steps(self, deps: Deps) -> None:
        """A retry repeats the steps that the first attempt had recorded; each stands once."""
        with contextlib.suppress(KeyboardInterrupt), tracker_of(deps).run("x", key="c", params={"a": 1}) as first:
            first.log_metrics({"auc": 0.5}, step=1)
            first.log_metrics({"auc": 0.6}, step=2)
            raise KeyboardInterrupt
        with tracker_of(deps).run("x", key="c", params={"a": 1}) as second:
            for step, value in [(1, 0.5), (2, 0.6), (3, 0.7)]:
                second.log_metrics({"auc": value}, step=step)
        assert second.run_id == first.run_id
        assert self.recorded(deps) == [Recorded("FINISHED", {"a": "1"}, {"auc": [(1, 0.5), (2, 0.6), (3, 0.7)]})]

    def test_other_key_is_another_run(self, deps: Deps) -> None:
        """Runs differ by key, not by name."""
        for key in ("d", "e"):
            with tracker_of(deps).run("same name", key=key, params={}):
                pass
        assert len(self.recorded(deps)) == 2

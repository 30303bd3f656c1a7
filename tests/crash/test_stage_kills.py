"""kill -9 at any moment, then a retry: the same result, nothing doubled, nothing half-written visible."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.crash.forked import Forks
from tests.crash.small import Reference, look, run_reference
from tests.crash.stage_tasks import run_stage

pytestmark = [pytest.mark.crash, pytest.mark.slow]
WORKERS = len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Kill:
    """One disturbance: at the nth passing of a fail point, or after some seconds."""

    step: str
    point: str | None
    nth: int = 1
    after_s: float = 0.0

    @property
    def label(self) -> str:
        """Where, for the histogram."""
        return f"{self.step}: {self.point or 'any moment'}"


def draw(reference: Reference, count: int, seed: int) -> list[Kill]:
    """Draw kills: two of three at a fail point, each point of each step about equally often; the rest at any moment."""
    generator = random.Random(seed)
    points = [(step, *point) for step, found in reference.points.items() for point in found]
    generator.shuffle(points)
    kills = []
    for number in range(count):
        if number % 3 < 2:
            kills.append(Kill(*points[(number - number // 3) % len(points)]))
        else:
            step = generator.choice(list(reference.seconds))
            kills.append(Kill(step, None, after_s=generator.uniform(0, reference.seconds[step])))
    return kills


def disturb(reference: Reference, kill: Kill, forks: Forks) -> bool:
    """Kill the step, look, retry, look again; return whether the kill came before the end."""
    reference.restore(kill.step)
    request = reference.requests[kill.step]
    before, wanted = look(reference.live), reference.after[kill.step]
    if kill.point is None:
        died = forks.run(run_stage, request, kill_after_s=kill.after_s) is None
    else:
        marker = reference.folder / "killed"
        marker.unlink(missing_ok=True)
        at = {"name": kill.point, "nth": kill.nth, "marker": str(marker)}
        died = forks.run(run_stage, {**request, "kill": at}) is None
        assert died, "the fail point was never reached"
    after = look(reference.live)
    assert before.outputs <= after.outputs <= wanted.outputs, "something is visible that should not be"
    assert len(after.versions) <= len(wanted.versions)
    assert told(forks.run(run_stage, request)) == told(reference.results[kill.step])
    assert look(reference.live) == wanted
    return died


def told(result: Any) -> Any:
    """Return what must be equal in a result: not whether it was reused, nor the run that MLflow numbered itself."""
    if not isinstance(result, dict):
        return result
    return {key: value for key, value in result.items() if key not in ("reused", "run_urls")}


@pytest.mark.timeout(0)
def test_a_killed_task_that_is_retried_gives_the_same(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, seed = request.config.getoption("--crash-points"), request.config.getoption("--crash-seed")
    # A sixth each is for searches and for releases, which have tests of their own.
    count = max(1, asked - 2 * (asked // 6))
    forks = Forks(tmp_path)
    with ThreadPoolExecutor(WORKERS) as pool:
        folders = [tmp_path / f"worker-{number}" for number in range(WORKERS)]
        free = list(pool.map(lambda folder: run_reference(folder, forks), folders))
        kills = draw(free[0], count, seed)
        failures: list[str] = []

        def one(kill: Kill) -> bool:
            reference = free.pop()
            try:
                return disturb(reference, kill, forks)
            except AssertionError as error:
                failures.append(f"{kill}: {error}")
                return True
            finally:
                free.append(reference)

        died = list(pool.map(one, kills))
    with capsys.disabled():
        print(f"\n{count} kills, seed {seed}; {died.count(False)} came after the end")
        for label, times in sorted(Counter(kill.label for kill in kills).items()):
            print(f"  {label:<44} {'#' * times} {times}", file=sys.stdout)
    at_points = sum(kill.point is not None for kill in kills)
    assert at_points * 2 >= count
    assert not failures, f"{len(failures)} of {count} went wrong:\n" + "\n".join(failures[:10])

"""kill -9 at any moment, then a retry: the same result, nothing doubled, nothing half-written visible."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash.killing import KILL_FOLDER, order_kill
from tests.crash.small import Reference, finish, look, run_reference, start

pytestmark = [pytest.mark.crash, pytest.mark.slow]
WORKERS = len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Kill:
    """One disturbance: at a fail point, or after some seconds."""

    step: str
    point: str | None
    after_s: float = 0.0

    @property
    def label(self) -> str:
        """Where, for the histogram."""
        return f"{self.step}:{self.point.rpartition(' ')[0] if self.point else 'any moment'}"


def draw(reference: Reference, count: int, seed: int) -> Iterator[Kill]:
    """Draw kills: two of three at a fail point, each point of each step about equally often; the rest at any moment."""
    generator = random.Random(seed)
    points = [(step, point) for step, found in reference.points.items() for point in found]
    generator.shuffle(points)
    random_steps = list(reference.seconds)
    for number in range(count):
        if number % 3 < 2:
            step, point = points[(number - number // 3) % len(points)]
            yield Kill(step, point)
        else:
            step = generator.choice(random_steps)
            yield Kill(step, None, generator.uniform(0, reference.seconds[step]))


def disturb(reference: Reference, kill: Kill) -> bool:
    """Kill the step, look, retry, look again; return whether the kill came before the end."""
    reference.restore(kill.step)
    request = reference.requests[kill.step]
    before = look(reference.live)
    kills = reference.folder / "kills"
    if kill.point:
        order_kill(kills, kill.point)
    process = start(request, {KILL_FOLDER: str(kills)})
    if kill.point is None:
        time.sleep(kill.after_s)  # the moment of the kill is what is drawn
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=120)
    died = process.returncode == -signal.SIGKILL
    assert died or kill.point is None, f"{kill.label} was never reached"
    after, wanted = look(reference.live), reference.after[kill.step]
    assert before.outputs <= after.outputs <= wanted.outputs, "something is visible that should not be"
    assert len(after.versions) <= len(wanted.versions)
    retried = finish(start(request, {}))
    first = reference.results[kill.step]
    assert {**retried, "reused": None} == {**first, "reused": None}
    assert look(reference.live) == wanted
    return died


@pytest.mark.timeout(0)
def test_a_killed_task_that_is_retried_gives_the_same(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count, seed = request.config.getoption("--crash-points"), request.config.getoption("--crash-seed")
    with ThreadPoolExecutor(WORKERS) as pool:
        references = list(pool.map(run_reference, [tmp_path / f"worker-{number}" for number in range(WORKERS)]))
        free = list(references)
        lock = threading.Lock()
        failures: list[str] = []

        def one(kill: Kill) -> bool:
            with lock:
                reference = free.pop()
            try:
                return disturb(reference, kill)
            except AssertionError as error:
                failures.append(f"{kill}: {error}")
                return True
            finally:
                with lock:
                    free.append(reference)

        kills = list(draw(references[0], count, seed))
        died = list(pool.map(one, kills))
    with capsys.disabled():
        print(f"\n{count} kills, seed {seed}; {died.count(False)} came after the end")
        for label, times in sorted(Counter(kill.label for kill in kills).items()):
            print(f"  {label:<44} {'#' * times} {times}", file=sys.stdout)
    at_points = sum(kill.point is not None for kill in kills)
    assert at_points * 2 >= count
    assert not failures, f"{len(failures)} of {count} went wrong:\n" + "\n".join(failures[:10])

"""kill -9 in the middle of a search: no trial is lost, doubled or left running, and the same model is found."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aimass.core.stages.optimize import STAGE, OptimizeConfig
from tests.crash import search_tasks
from tests.crash.forked import Forks, Task
from tests.searching import make_deps, make_world

pytestmark = [pytest.mark.crash, pytest.mark.slow]
POINTS = {
    "plan": ["before_ask", "after_ask"],
    "work": ["trial_claimed", "before_tell", "after_tell"],
    "end": ["before_manifest", "after_manifest"],
}
TRIALS = 6
SEEDS = 2
LONGEST_TASK_S = 0.6


@dataclass
class Kill:
    """Where one search is disturbed, once: at a fail point of a kind of task, or some time after one began."""

    kind: str
    point: str | None
    nth: int
    after_s: float
    is_done: bool = False

    @property
    def label(self) -> str:
        """Where, for the histogram."""
        return f"{self.kind}:{self.point or 'any moment'}"


def draw(count: int, seed: int) -> list[Kill]:
    """Draw kills: every fail point in turn, and every third at any moment of any task."""
    generator = random.Random(seed)
    named = [(kind, point) for kind, points in POINTS.items() for point in points]
    kills = []
    for number in range(count):
        after_s = generator.uniform(0, LONGEST_TASK_S)
        if number % 3 == 2:
            kills.append(Kill(generator.choice(list(POINTS)), None, 1, after_s))
        else:
            kind, point = named[(number - number // 3) % len(named)]
            kills.append(Kill(kind, point, 1 if kind == "end" else generator.randint(1, 2), after_s))
    return kills


class Disturbed:
    """One search with its own project, run as Airflow would: a task that dies is run again."""

    def __init__(self, forks: Forks, folder: Path, config: OptimizeConfig, store: str, kill: Kill) -> None:
        self._forks = forks
        self._kill = kill
        self._marker = folder / "killed"
        self._request = {"store": store, "project": folder.name, "config": config.model_dump(mode="json")}
        self._rounds = config.rounds

    def run(self) -> dict[str, Any]:
        """Run every task to its end; return the result of the last one."""
        with ThreadPoolExecutor(2) as pool:
            for round_index in range(self._rounds):
                assignments = self._task("plan", search_tasks.plan_task, round=round_index)
                tasks = [pool.submit(self._task, "work", search_tasks.work_task, assignment=one) for one in assignments]
                for task in tasks:
                    task.result()
        result: dict[str, Any] = self._task("end", search_tasks.end_task)
        return result

    def _task(self, kind: str, task: Task, **arguments: Any) -> Any:
        request, after_s = {**self._request, **arguments}, None
        if kind == self._kill.kind and not self._kill.is_done:
            if self._kill.point is None:
                after_s, self._kill.is_done = self._kill.after_s, True
            else:
                request["kill"] = {"name": self._kill.point, "nth": self._kill.nth, "marker": str(self._marker)}
        answer = self._forks.run(task, request, kill_after_s=after_s)
        if answer is None:
            self._kill.is_done = True
            answer = self._forks.run(task, {**request, "kill": None})
        return answer


def rows_of(database: Path) -> list[tuple[int, str, int]]:
    """Return number, state and number of scores of every trial, ours or not."""
    query = (
        "select t.number, t.state, (select count(*) from trial_values v where v.trial_id = t.trial_id) "
        "from trials t order by t.number"
    )
    connection = sqlite3.connect(database)
    try:
        return list(connection.execute(query))
    finally:
        connection.close()


def check(config: OptimizeConfig, store: Path, project: str, result: dict[str, Any], wanted: str) -> None:
    """Raise AssertionError unless the search ended as an undisturbed one does."""
    [database] = (store / project / "studies").glob("*.db")
    found = rows_of(database)
    assert [number for number, _, _ in found] == list(range(config.trials)), f"trials were lost or doubled: {found}"
    assert all((state, scores) == ("COMPLETE", 1) for _, state, scores in found), f"not every trial ended once: {found}"
    assert result["trials"] == {"complete": config.trials, "failed": 0}
    assert result["digest"] == wanted, "another model was found"


@pytest.mark.timeout(0)
def test_a_killed_search_ends_like_an_undisturbed_one(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = max(1, request.config.getoption("--crash-points") // 6)
    kills = draw(count, request.config.getoption("--crash-seed"))
    deps = make_deps(tmp_path / "store")
    world = make_world(deps, trials=TRIALS, strategy={"type": "tpe", "startup_trials": 3})
    configs = [world.model_copy(update={"seed": seed}) for seed in range(SEEDS)]
    wanted = [STAGE.run(config, deps).digest for config in configs]
    forks = Forks(tmp_path)
    for number, kill in enumerate(kills):
        folder = tmp_path / f"search{number}"
        folder.mkdir()
        config = configs[number % SEEDS]
        result = Disturbed(forks, folder, config, deps.runtime.store, kill).run()
        check(config, tmp_path / "store", folder.name, result, wanted[number % SEEDS])
        assert kill.point is None or kill.is_done, f"{kill.label} was never reached"
    with capsys.disabled():
        print(f"\n{count} searches killed; a kill at any moment may come after the task's end")
        for label, times in sorted(Counter(kill.label for kill in kills).items()):
            print(f"  {label:<24} {'#' * times} {times}")

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aimass.core.deps import Deps
from aimass.core.errors import CorruptDataError
from aimass.core.monitoring.events import AlertLog
from aimass.core.testing.failpoints import FailAt
from tests.searching import make_deps
from tests.unit.core.monitoring.watching import BAD, BETWEEN, GOOD, Walk, watch, window

WATCH = watch({"k": 2, "n": 3, "clear_k": 1, "no_data_k": 2, "cooldown_minutes": 0})


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return make_deps(tmp_path / "store")


@pytest.fixture
def log(deps: Deps) -> AlertLog:
    return AlertLog(deps, "flights", "late")


def test_what_was_judged_is_logged_in_full(log: AlertLog, deps: Deps) -> None:
    for index, value in enumerate([BAD, BAD, GOOD]):
        log.judge(WATCH, window(index, value))
    newest = log.newest()
    assert [entry.index for entry in newest] == [2, 1, 0]
    assert newest[1].seen.metrics == {"score_drift": BAD}
    assert (newest[1].who, newest[1].run_id) == (deps.principal, deps.runtime.run_id)
    assert [reading.verdict for reading in newest[0].judgement.readings] == ["good"]
    assert [event.kind for event in log.events()] == ["cleared", "fired"]
    assert log.events(1)[0].kind == "cleared"


def test_an_empty_log_says_nothing(log: AlertLog) -> None:
    assert (log.last(), log.newest(), log.events()) == (None, [], [])


def test_a_window_judged_again_gives_the_entry_of_then(log: AlertLog) -> None:
    entries = [log.judge(WATCH, window(index, value)) for index, value in enumerate([GOOD, BAD, BAD, BAD])]
    for index, entry in enumerate(entries):
        assert log.judge(WATCH, window(index, GOOD)) == entry
    assert entries[2] is not None
    assert len(entries[2].judgement.orders) == 1
    assert len(log.newest()) == 4


def test_a_window_that_comes_too_late_is_left_out(log: AlertLog) -> None:
    log.judge(WATCH, window(0, GOOD))
    log.judge(WATCH, window(2, GOOD))
    assert log.judge(WATCH, window(1, BAD)) is None
    assert len(log.newest()) == 2


@pytest.mark.parametrize("point", ["before_alert_entry", "after_alert_entry"])
def test_a_judge_who_was_stopped_orders_the_same_again(deps: Deps, log: AlertLog, point: str) -> None:
    log.judge(WATCH, window(0, BAD))
    stopped = AlertLog(replace(deps, failpoints=FailAt(point)), "flights", "late")
    with pytest.raises(KeyboardInterrupt):
        stopped.judge(WATCH, window(1, BAD))
    first, second = (log.judge(WATCH, window(1, BAD)) for _ in range(2))
    assert first == second
    assert first is not None
    assert [order.key for order in first.judgement.orders] == ["rollback-drift-20260401T010000Z"]
    assert len(log.newest()) == 2


def test_two_who_judge_at_once_write_one_chain(deps: Deps) -> None:
    def judge(index: int) -> None:
        AlertLog(deps, "flights", "late").judge(WATCH, window(index, GOOD))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(judge, sorted(range(12), key=lambda index: index % 4)))
    log = AlertLog(deps, "flights", "late")
    starts = [entry.seen.start for entry in log.newest()]
    assert starts == sorted(set(starts), reverse=True)


def test_an_altered_or_removed_entry_is_noticed(log: AlertLog, deps: Deps) -> None:
    for index in range(3):
        log.judge(WATCH, window(index, BAD))
    first = deps.store.local_path(deps.store.folder("flights", "alerts", "late", "log", "00000000.json"))
    document = json.loads(first.read_text())
    document["seen"]["metrics"]["score_drift"] = GOOD
    first.write_text(json.dumps(document))
    with pytest.raises(CorruptDataError, match=r"Entry 1 .* does not follow"):
        log.newest()
    first.unlink()
    with pytest.raises(CorruptDataError, match=r"Entry 0 .* is missing"):
        log.newest()


class Judging(RuleBasedStateMachine):
    """Whoever judges may die before or after writing, and any window may be judged again at any time."""

    @initialize()
    def start(self) -> None:
        self.folder = TemporaryDirectory()
        self.deps = make_deps(Path(self.folder.name))
        self.values: list[float | None] = []
        self.expected = Walk(WATCH)

    def log(self, point: str | None = None) -> AlertLog:
        deps = replace(self.deps, failpoints=FailAt(point)) if point else self.deps
        return AlertLog(deps, "flights", "late")

    @rule(
        value=st.sampled_from([BAD, BETWEEN, GOOD, None]),
        point=st.sampled_from([None, "before_alert_entry", "after_alert_entry"]),
    )
    def judge_the_next(self, value: float | None, point: str | None) -> None:
        index = len(self.values)
        try:
            self.log(point).judge(WATCH, window(index, value))
        except KeyboardInterrupt:
            self.log().judge(WATCH, window(index, value))
        self.values.append(value)
        self.expected.see(value)

    @rule(data=st.data())
    def judge_one_again(self, data: st.DataObject) -> None:
        if self.values:
            index = data.draw(st.integers(0, len(self.values) - 1))
            found = self.log().judge(WATCH, window(index, BAD))
            assert found is not None
            assert found.seen == window(index, self.values[index])

    @invariant()
    def the_log_is_one_clean_walk(self) -> None:
        entries = self.log().newest(1000)[::-1]
        assert [event for entry in entries for event in entry.judgement.events] == self.expected.events
        assert [order for entry in entries for order in entry.judgement.orders] == self.expected.orders

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestJudging = Judging.TestCase
TestJudging.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.monitoring.alerts import MAX_LINES, judge_window
from aimass.core.monitoring.judgement import WatchState
from tests.unit.core.monitoring.watching import BAD, BETWEEN, GOOD, HOUR, START, Walk, watch, window

WATCH = watch({"k": 2, "n": 3, "clear_k": 2, "no_data_k": 2, "cooldown_minutes": 600})


def test_k_of_n_bad_windows_open_an_incident_and_order_its_action_once() -> None:
    walk = Walk(WATCH)
    assert walk.walk(BAD, GOOD) == []
    found = walk.see(BAD)
    assert [event.kind for event in found.events] == ["fired"]
    assert str(found.events[0].said) == "drift: score_drift is 0.5, above 0.3 in 2 of 3 windows"
    order = found.orders[0]
    assert (order.action, order.version, order.incidents) == ("rollback", "2", ["drift-20260401T020000Z"])
    assert order.evidence == "window-2"
    assert walk.walk(BAD, BAD, BAD) == []
    assert len(walk.orders) == 1


@pytest.mark.parametrize("values", [[BAD, GOOD, GOOD, BAD, GOOD, GOOD], [BAD, GOOD, GOOD, GOOD] * 10])
def test_bad_windows_far_apart_are_no_incident(values: list[float]) -> None:
    assert Walk(WATCH).walk(*values) == []


def test_an_incident_closes_after_good_windows_one_after_the_other() -> None:
    walk = Walk(WATCH)
    assert walk.walk(BAD, BAD) == ["fired"]
    assert walk.walk(GOOD, BETWEEN, GOOD, BAD, GOOD) == []
    assert walk.walk(GOOD) == ["cleared"]
    # What was bad before does not count any more.
    assert walk.walk(BAD, GOOD, GOOD) == []
    assert walk.walk(BAD, BAD) == ["fired"]


def test_no_data_is_neither_good_nor_bad() -> None:
    walk = Walk(WATCH)
    assert walk.walk(BAD, None, None, None, BAD) == ["no_data", "data_back"]
    assert walk.walk(BAD) == ["fired"]
    assert walk.walk(GOOD, *[None] * 50) == ["no_data"]
    assert walk.state.rules["drift"].standing == "no_data"
    assert walk.state.rules["drift"].incident
    assert walk.walk(GOOD) == ["data_back", "cleared"]


def test_no_data_alone_orders_nothing_and_closes_nothing() -> None:
    walk = Walk(watch({"k": 2, "n": 3}))
    walk.walk(*[None] * 1000)
    assert (len(walk.events), walk.orders) == (1, [])


def test_no_data_may_be_left_untold_and_is_logged_all_the_same() -> None:
    walk = Walk(watch({"no_data": "ignore", "no_data_k": 1}))
    found = walk.see(None)
    assert ([event.kind for event in found.events], found.notice) == (["no_data"], None)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_no_data(value: float) -> None:
    walk = Walk(WATCH)
    walk.walk(value, value, value)
    assert walk.orders == []


def test_a_gap_in_time_makes_bad_windows_strangers() -> None:
    walk = Walk(WATCH)
    walk.walk(BAD)
    walk.skip(5)
    assert walk.walk(BAD) == []


@pytest.mark.parametrize("rule", [{}, {"k": 1, "n": 1, "action": "notify"}])
def test_windows_that_nobody_judged_are_told_when_somebody_looks_again(rule: dict[str, Any]) -> None:
    walk = Walk(watch({"no_data_k": 3, **rule}))
    walk.walk(GOOD, GOOD)
    walk.skip(2)
    assert walk.walk(GOOD, GOOD) == []
    walk.skip(3)
    assert walk.walk(GOOD, GOOD) == ["no_data", "data_back"]
    told = walk.events[0]
    assert str(told.said) == "drift: no data about score_drift in 3 windows; that is neither good nor bad"
    assert (told.value, told.told, walk.orders) == (None, True, [])


def test_windows_that_nobody_judged_and_windows_without_data_are_one_silence() -> None:
    walk = Walk(watch({"no_data_k": 4}))
    walk.walk(GOOD, None)
    walk.skip(1)
    assert walk.walk(None) == []
    assert walk.walk(None) == ["no_data"]
    walk.skip(20)
    assert walk.walk(None, GOOD) == ["data_back"]


def test_another_version_after_a_silence_does_not_hide_it() -> None:
    walk = Walk(WATCH)
    walk.walk(GOOD, GOOD)
    walk.skip(9)
    assert [event.kind for event in walk.see(GOOD, version="3").events] == ["no_data", "data_back"]


def test_a_schedule_that_leaves_windows_out_misses_none() -> None:
    walk = Walk(WATCH)
    for _ in range(10):
        walk.skip(23)
        assert walk.walk(GOOD) == []


def test_another_version_is_looked_at_anew() -> None:
    walk = Walk(WATCH)
    walk.walk(BAD, BAD)
    found = walk.see(BAD, version="1")
    assert [event.kind for event in found.events] == ["superseded"]
    assert str(found.events[0].said) == "drift: version 1 answers now and is looked at anew"
    assert not found.state.rules["drift"].incident
    # It is bad, too: the rule says so, and the action rests, so that nothing is rolled back version by version.
    fired = walk.see(BAD, version="1").events[0]
    assert (fired.kind, fired.action) == ("fired", "rollback")
    assert str(fired.held_back) == "rollback rests until 2026-04-01T12:00:00+00:00 after the last one"
    assert len(walk.orders) == 1


def test_an_action_is_taken_again_once_it_has_rested() -> None:
    walk = Walk(WATCH)
    walk.walk(BAD, BAD, GOOD, GOOD)
    walk.skip(10)
    assert walk.walk(BAD, BAD) == ["fired"]
    assert len(walk.orders) == 2
    assert walk.orders[0].key != walk.orders[1].key


def test_nothing_is_rolled_back_where_no_version_is_to_blame() -> None:
    walk = Walk(WATCH)
    for _ in range(2):
        walk.see(BAD, version=None)
    assert str(walk.events[-1].held_back) == "rollback needs a version to blame, and none answered"
    assert walk.orders == []


def test_below_is_the_mirror_of_above() -> None:
    walk = Walk(watch({"metric": "auc_high", "above": None, "below": 0.6, "clear": 0.65, "k": 2, "n": 2}))
    values = [0.7, 0.59, 0.5, 0.62, 0.66, 0.66]
    events = [event for value in values for event in walk.see(None, auc_high=value).events]
    assert [event.kind for event in events] == ["fired", "cleared"]
    assert str(events[0].said) == "drift: auc_high is 0.5, below 0.6 in 2 of 2 windows"


def test_rules_that_ask_for_the_same_give_one_order_and_one_notice() -> None:
    walk = Walk(
        watch({"name": "a", "level": 2}, {"name": "b", "level": 4}, {"name": "c", "action": "page", "level": 3})
    )
    walk.walk(BAD)
    found = walk.see(BAD)
    assert [(order.action, order.rules, order.level) for order in found.orders] == [("rollback", ["a", "b"], 4)]
    assert found.notice is not None
    assert (found.notice.level, found.notice.page, len(found.notice.lines)) == (4, True, 3)
    assert str(found.notice.lines[0]).startswith("b: ")


def test_going_back_comes_before_taking_out_of_use() -> None:
    walk = Walk(watch({"name": "a"}, {"name": "b", "action": "retire"}, {"name": "c", "action": "retrain"}))
    walk.walk(BAD, BAD)
    assert sorted(order.action for order in walk.orders) == ["retrain", "rollback"]


def test_a_storm_is_one_notice_of_bounded_length() -> None:
    walk = Walk(watch(*({"name": f"r{index}", "action": "notify"} for index in range(40))))
    walk.walk(BAD)
    notice = walk.see(BAD).notice
    assert notice is not None
    assert len(notice.lines) == MAX_LINES + 1
    assert str(notice.lines[-1]) == "and 30 more; the model's page has all of them"


def test_a_rule_that_is_taken_out_while_it_fires_is_told() -> None:
    walk = Walk(watch({"name": "old"}))
    walk.walk(BAD, BAD)
    walk.watch = watch({"name": "new"})
    assert walk.walk(GOOD, GOOD) == ["withdrawn"]
    assert list(walk.state.rules) == ["new"]


def test_a_window_judged_twice_changes_nothing() -> None:
    walk = Walk(WATCH)
    walk.walk(GOOD, BAD)
    fired = walk.judge(window(2, BAD))
    again = judge_window(WATCH, fired.state, window(2, BAD))
    assert (again.state, again.events, again.orders) == (fired.state, [], [])
    assert judge_window(WATCH, fired.state, window(1, GOOD)).state == fired.state


@pytest.mark.parametrize("seed", range(20))
def test_a_thousand_healthy_windows_roll_back_nothing(seed: int) -> None:
    """Healthy windows raise a false alarm in one of a hundred, as the monitor promises; some have no data."""
    chance = random.Random(seed)
    walk = Walk(watch({"k": 3, "n": 4}))
    walk.walk(*(chance.choices([BAD, None, BETWEEN, GOOD], [1, 5, 10, 84])[0] for _ in range(1000)))
    assert walk.orders == []


@given(st.lists(st.sampled_from([BAD, BETWEEN, GOOD, None]), max_size=60), st.integers(1, 3), st.integers(1, 3))
def test_flapping_fires_no_more_often_than_its_windows_allow(
    values: list[float | None], more: int, clear_k: int
) -> None:
    k, n = 2, 1 + more
    walk = Walk(watch({"k": k, "n": n, "clear_k": clear_k, "cooldown_minutes": 0}))
    walk.walk(*values)
    fired = [event for event in walk.events if event.kind == "fired"]
    assert len(fired) == len(walk.orders) <= values.count(BAD) / k
    assert len(fired) <= 1 + values.count(GOOD) // clear_k
    assert len({order.key for order in walk.orders}) == len(walk.orders)


@given(st.lists(st.sampled_from([BAD, GOOD, None]), max_size=40), st.data())
def test_replays_in_any_order_change_nothing(values: list[float | None], data: st.DataObject) -> None:
    once, again = Walk(WATCH), Walk(WATCH)
    for index, value in enumerate(values):
        once.see(value)
        found = judge_window(WATCH, again.state, window(index, value))
        again.state = found.state
        again.orders += found.orders
        repeated = data.draw(st.integers(0, index))
        replay = judge_window(WATCH, again.state, window(repeated, data.draw(st.sampled_from([BAD, GOOD, None]))))
        assert (replay.state, replay.events, replay.orders) == (again.state, [], [])
    assert (once.state, once.orders) == (again.state, again.orders)


@given(st.lists(st.sampled_from([BAD, GOOD, BETWEEN, None]), min_size=1, max_size=40))
def test_what_is_open_was_bad_k_times_and_what_closed_was_good(values: list[float | None]) -> None:
    walk = Walk(WATCH)
    for index, value in enumerate(values):
        before = walk.state.rules.get("drift")
        kinds = [event.kind for event in walk.see(value).events]
        if "fired" in kinds:
            assert value == BAD
            assert values[max(0, index - 2) : index + 1].count(BAD) >= 2
            assert before is not None
            assert not before.incident
        if "cleared" in kinds:
            assert value == GOOD
            assert BAD not in [each for each in values[: index + 1] if each is not None][-2:]
        if value is None:
            assert set(kinds) <= {"no_data"}


def test_state_survives_json() -> None:
    walk = Walk(WATCH)
    walk.walk(BAD, None, BAD)
    assert WatchState.model_validate_json(walk.state.model_dump_json()) == walk.state
    assert walk.state.last == START + 2 * HOUR
    assert walk.state.acted["rollback"] - walk.state.last == timedelta(hours=1)

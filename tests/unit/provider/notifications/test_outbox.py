from __future__ import annotations

import multiprocessing
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core.storage import Store
from aimass.notifications.base import KINDS, Notice
from aimass.notifications.delivery import DeliverySettings
from aimass.notifications.outbox import CLAIM, Outbox


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def notice(run: str = "1", **others: Any) -> Notice:
    facts = {"kind": "failure", "dag_id": "aimass_a", "pipeline": "a", "when": "now", "run_id": run, "tasks": ["train"]}
    return Notice.model_validate({**facts, **others})


def outbox(folder: Path | str, clock: Clock, **chosen: Any) -> Outbox:
    return Outbox(Store(str(folder)), "mail", DeliverySettings.model_validate(chosen), clock)


def tell(box: Outbox, told: Notice) -> list[Notice]:
    sent = box.put(told)
    for message in sent:
        box.sent(message)
    return [message.notice for message in sent]


def test_what_was_told_is_held_back_and_counted(tmp_path: Path, clock: Clock) -> None:
    box = outbox(tmp_path, clock)
    assert [one.held_back for one in tell(box, notice("1"))] == [0]
    for run in ("2", "3"):
        clock.pass_by(hours=1)
        assert tell(box, notice(run)) == []
    clock.pass_by(hours=2)
    # Another process, after a restart: everything stands in the store.
    (again,) = tell(outbox(tmp_path, clock), notice("4"))
    assert (again.run_id, again.held_back) == ("4", 2)
    assert again.held_back_since == "2026-11-24T00:00:00+00:00"


def test_another_reason_is_another_message(tmp_path: Path, clock: Clock) -> None:
    box = outbox(tmp_path, clock)
    assert tell(box, notice())
    assert tell(box, notice(tasks=["release"]))
    assert tell(box, notice(error="TargetError"))
    assert tell(box, notice(dag_id="aimass_b"))
    assert not tell(box, notice())


def test_a_change_is_news_at_any_time(tmp_path: Path, clock: Clock) -> None:
    box = outbox(tmp_path, clock)
    assert tell(box, notice("1"))
    assert not tell(box, notice("2"))
    assert tell(box, notice("3", kind="success", tasks=[]))
    assert not tell(box, notice("4", kind="success", tasks=[]))
    (worse,) = tell(box, notice("5"))
    assert worse.held_back == 1


def test_a_change_is_noticed_where_only_failures_are_told(tmp_path: Path, clock: Clock) -> None:
    box = outbox(tmp_path, clock, on=["failure"])
    assert tell(box, notice("1"))
    assert tell(box, notice("2", kind="success", tasks=[])) == []
    assert tell(box, notice("3"))


def test_every_question_is_asked_once(tmp_path: Path, clock: Clock) -> None:
    box = outbox(tmp_path, clock)
    assert tell(box, notice("1", kind="approval"))
    assert not tell(box, notice("1", kind="approval"))
    assert tell(box, notice("2", kind="approval"))
    assert tell(box, notice("2"))


def test_many_pipelines_with_one_reason_may_be_one_message(tmp_path: Path, clock: Clock) -> None:
    box = outbox(tmp_path, clock, group_by=["kind", "error"])
    told = [tell(box, notice(dag_id=f"aimass_{index}", error="UnreachableError")) for index in range(30)]
    assert sum(map(len, told)) == 1


def test_never_held_back_where_nobody_wants_it(tmp_path: Path, clock: Clock) -> None:
    box = outbox(tmp_path, clock, repeat_hours=0)
    assert all(tell(box, notice(str(run))) for run in range(3))


def test_what_could_not_be_sent_goes_with_the_next_notice(tmp_path: Path, clock: Clock) -> None:
    box = outbox(tmp_path, clock)
    (message,) = box.put(notice("1"))
    box.failed(message)
    assert [one.run_id for one in tell(box, notice("2"))] == ["1"]
    assert tell(box, notice("3")) == []


def test_a_process_that_died_while_it_sent_is_taken_over(tmp_path: Path, clock: Clock) -> None:
    assert outbox(tmp_path, clock).put(notice("1"))
    other = outbox(tmp_path, clock)
    assert other.put(notice("2")) == []
    clock.pass_by(seconds=CLAIM.total_seconds() + 1)
    assert [one.run_id for one in tell(other, notice("3"))] == ["1"]


def test_the_state_stays_small(clock: Clock) -> None:
    store = Store("memory://small")
    box = outbox(store.root, clock)
    for run in range(60):
        tell(box, notice(str(run), kind="approval"))
        clock.pass_by(hours=6)
    folder = store.folder(".notices", "mail")
    names = store.list(folder)
    assert len(names) <= 22
    assert len(store.read_bytes(f"{folder}/{names[-1]}")) < 20_000


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.booleans(), st.integers(0, 5)), max_size=8))
def test_whatever_happens_nothing_is_lost_and_nothing_told_twice(events: list[tuple[str, bool, int]]) -> None:
    clock = Clock()
    box = outbox(f"memory://{uuid.uuid4()}", clock)
    sent: list[Notice] = []
    for run, (kind, works, hours) in enumerate(events):
        clock.pass_by(hours=hours)
        for message in box.put(notice(str(run), kind=kind)):
            if works:
                box.sent(message)
                sent.append(message.notice)
            else:
                box.failed(message)
    sent += [message.notice for message in box.put(notice("last", kind="approval"))]
    assert len({one.run_id for one in sent}) == len(sent)
    kinds = {kind for kind, _, _ in events}
    assert kinds <= {one.kind for one in sent}


def _race(folder: str, number: int, barrier: Any, told: Any) -> None:
    box = Outbox(Store(folder), "mail", DeliverySettings(), lambda: datetime(2026, 11, 24, tzinfo=UTC))
    barrier.wait()
    for run in range(5):
        for message in box.put(notice(f"{number}-{run}")):
            told.put(message.notice.run_id)
            box.sent(message)


def test_processes_that_tell_the_same_send_one_message(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, told = context.Barrier(3), context.Queue()
    racers = [context.Process(target=_race, args=(str(tmp_path), number, barrier, told)) for number in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    assert told.get(timeout=5)
    assert told.empty()

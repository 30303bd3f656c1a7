"""Batching: answers of a batch are those of single requests, nobody waits for nothing, bounds hold."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass.core.features.row_encoder import Block
from aimass.serving.errors import QueueFullError, TimedOutError
from aimass.serving.loaded import LoadedModel
from tests.services.asking import Asked, load
from tests.services.folder_registry import ROW

ROWS = [
    {"origin": origin, "distance": distance, "stops": stops}
    for origin in ("JFK", "LGA", None)
    for distance in (0.1, -2.5, None)
    for stops in (0, 3, None)
]


class Held:
    """A model whose runs wait until the test lets them go."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.sizes: list[int] = []
        self.go = threading.Event()
        self.fails = False
        self._run = loaded.run
        loaded.run = self.run  # type: ignore[method-assign]
        for n_rows in (1, 2, 4, 8):
            for _ in range(200):
                loaded.costs.note(n_rows, 100.0)

    def run(self, block: Block) -> Any:
        self.sizes.append(block.n_rows)
        assert self.go.wait(20)
        if self.fails:
            raise RuntimeError("no answer")
        return self._run(block)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    asked = Asked(
        queue_rows=20, max_batch_rows=8, request_timeout_s=5.0, workers=256
    )  # so many that one run at a time is left
    asked.table.put(load(tmp_path))
    yield asked
    asked.close()


async def ask_each(asked: Asked, rows: list[dict[str, Any]]) -> list[Any]:
    answers = await asyncio.gather(*(asked.http.post("/predict/late", json={"rows": [row]}) for row in rows))
    assert {answer.status_code for answer in answers} == {200}
    return [answer.json()["predictions"][0] for answer in answers]


def test_requests_of_one_turn_are_run_together_and_answered_as_alone(asked: Asked) -> None:
    loaded = asked.table.resolve("late").loaded
    alone = [loaded.run(loaded.encoder.encode([row]))[0][0] for row in ROWS[:20]]
    for _ in range(3):  # first crowded, then batched
        answers = asked.run(ask_each(asked, ROWS[:20]))
        assert [np.float32(answer["probability"]) for answer in answers] == alone
    assert asked.engine.metrics.snapshot()["late"]["rows"] == 60
    assert loaded.batcher is not None
    assert sum(loaded.batcher.tally.batches) < 60


def test_a_large_request_is_cut_and_put_together_again(asked: Asked) -> None:
    rows = ROWS * 3
    together = asked.predict(*rows).json()["predictions"]
    assert together == [asked.predict(row).json()["predictions"][0] for row in rows]


def test_what_arrives_during_a_long_run_becomes_the_next_batch(asked: Asked) -> None:
    held = Held(asked.table.resolve("late").loaded)

    async def ask() -> None:
        first = asyncio.create_task(ask_each(asked, ROWS[:1]))
        while not held.sizes:
            await asyncio.sleep(0.001)
        others = [asyncio.create_task(ask_each(asked, [row])) for row in ROWS[1:6]]
        while asked.engine.queued_rows()["late"] < 6:
            await asyncio.sleep(0.001)
        assert (await asked.http.get("/v2/health/live")).status_code == 200  # the loop goes on
        held.go.set()
        await asyncio.gather(first, *others)

    asked.run(ask())
    assert held.sizes == [1, 5]
    assert asked.engine.queued_rows() == {"late": 0}
    assert asked.table.resolve("late").loaded.in_flight == 0


def test_a_full_queue_refuses_and_says_when_to_ask_again(asked: Asked) -> None:
    held = Held(asked.table.resolve("late").loaded)

    async def ask() -> Any:
        waiting = [asyncio.create_task(ask_each(asked, [row])) for row in ROWS[:20]]
        while asked.engine.queued_rows().get("late", 0) < 20:
            await asyncio.sleep(0.001)
        refused = await asked.http.post("/predict/late", json={"rows": [ROW]})
        held.go.set()
        await asyncio.gather(*waiting)
        return refused

    refused = asked.run(ask())
    assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    assert QueueFullError.grpc == "RESOURCE_EXHAUSTED"
    assert asked.predict(ROW).status_code == 200


def test_a_request_larger_than_the_queue_is_answered_when_it_is_alone(asked: Asked) -> None:
    assert len(asked.predict(*ROWS).json()["predictions"]) == len(ROWS) > 20


def test_an_answer_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    asked = Asked(request_timeout_s=0.05)
    asked.table.put(load(tmp_path))
    held = Held(asked.table.resolve("late").loaded)
    try:
        answer = asked.predict(ROW)
        assert (answer.status_code, answer.json()["code"]) == (504, TimedOutError.code)
        assert asked.engine.queued_rows() == {"late": 0}
    finally:
        held.go.set()
        asked.close()


def test_a_worker_with_cores_to_spare_runs_parts_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    asked = Asked(max_batch_rows=8)
    asked.table.put(load(tmp_path))
    held = Held(asked.table.resolve("late").loaded)

    async def ask() -> Any:
        answer = asyncio.create_task(asked.http.post("/predict/late", json={"rows": ROWS}))
        while len(held.sizes) < 3:
            await asyncio.sleep(0.001)
        held.go.set()
        return await answer

    try:
        together = asked.run(ask()).json()["predictions"]
        assert held.sizes == [5, 5, 5, 5, 5, 2]  # two rounds of three threads, in equal shares
        assert together == [asked.predict(row).json()["predictions"][0] for row in ROWS]
    finally:
        asked.close()


def test_a_run_that_fails_fails_its_requests_only(asked: Asked) -> None:
    held = Held(asked.table.resolve("late").loaded)
    held.go.set()
    held.fails = True
    assert asked.predict(ROW).status_code == 500
    assert asked.predict(*ROWS[:20]).status_code == 500
    held.fails = False
    assert asked.predict(ROW).status_code == 200
    assert asked.predict(*ROWS[:20]).status_code == 200
    assert asked.engine.queued_rows() == {"late": 0}


class Clock:
    """An event loop whose timers ring when the test says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.timers: list[tuple[float, Any]] = []
        self._loop = loop

    def call_later(self, delay: float, what: Any) -> None:
        self.timers.append((delay, what))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


def test_requests_of_a_busy_model_wait_for_company_no_longer_than_the_option_says(tmp_path: Path) -> None:
    asked = Asked(batch_wait_ms=5.0, max_batch_rows=8, workers=256)
    asked.table.put(load(tmp_path))
    loaded = asked.table.resolve("late").loaded

    async def ask() -> None:
        await ask_each(asked, ROWS[:1])
        assert loaded.batcher is not None
        clock = Clock(asyncio.get_running_loop())
        loaded.batcher._loop = clock  # type: ignore[assignment]
        await ask_each(asked, ROWS[:1])
        assert clock.timers == []  # alone
        held = Held(loaded)
        held.go.set()
        loaded.batcher._is_crowded = True
        first = asyncio.create_task(ask_each(asked, ROWS[:1]))
        while not clock.timers:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(ask_each(asked, ROWS[1:2]))
        while asked.engine.queued_rows()["late"] < 2:
            await asyncio.sleep(0.001)
        ((delay, ring),) = clock.timers  # the second waits as long as the first does, and no longer
        assert delay == 0.005
        assert held.sizes == []
        ring()
        await asyncio.gather(first, second)
        assert held.sizes == [2]

    try:
        asked.run(ask())
    finally:
        asked.close()

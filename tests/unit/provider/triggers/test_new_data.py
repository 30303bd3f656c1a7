"""New data: what the sensor and the follower of a source see, how often they tell it, and what Airflow keeps."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.triggers.base import TriggerEvent
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.deps import Deps
from aimass.core.sources.summary import MAX_BYTES, summarize
from aimass.core.stages import STAGES
from aimass.hooks.runtime import build_runtime
from aimass.sensors.new_data import NewDataSensor
from aimass.triggers.follow import NewDataTrigger


class Lake:
    """A folder that files arrive in, and the ingest that reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: dict[str, Any] = {
            "name": "orders", "source": {"type": "files", "uri": str(folder / "*.csv")}, "mode": "incremental"
        }  # fmt: skip

    def add(self, name: str) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / f"{name}.csv").write_text("a\n1\n2\n")

    def ingest(self) -> Any:
        runtime = build_runtime(
            store_conn_id="aimass_store", tracking_conn_id="aimass_mlflow", project="shop", run_id=uuid.uuid4().hex
        )
        stage = STAGES.load("ingest")
        return stage.run(stage.parse(self.config), Deps.from_runtime(runtime))

    def trigger(self) -> NewDataTrigger:
        """Return the follower as Airflow makes it from what it keeps."""
        path, kept = NewDataTrigger(config=self.config, project="shop", poll_s=0.02).serialize()
        assert path == f"{NewDataTrigger.__module__}.{NewDataTrigger.__name__}"
        return NewDataTrigger(**json.loads(json.dumps(kept)))


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", str(tmp_path / "store"))
    return Lake(tmp_path / "lake")


async def told(run: AsyncIterator[TriggerEvent], within_s: float = 0.6) -> dict[str, Any] | None:
    """Return the next event's payload, or None where there is none in time."""
    try:
        event = await asyncio.wait_for(anext(run), within_s)
    except TimeoutError:
        return None
    return dict(event.payload)


def test_a_follower_tells_each_batch_once_and_goes_on_after_a_restart(lake: Lake) -> None:
    async def story() -> None:
        first = lake.trigger().run()
        assert await told(first) is None, "what is not there yet is waited for"
        lake.add("one")
        first = lake.trigger().run()
        seen = await told(first, 5)
        assert seen is not None
        assert (seen["name"], seen["project"], seen["number"]) == ("orders", "shop", 0)
        assert "one.csv" in json.dumps(seen["position"])
        assert await told(first) is None, "what was told is not told again while nobody has read it yet"
        second = lake.trigger().run()
        assert await told(second) is None, "nor by a triggerer that was started anew"
        lake.add("two")
        second = lake.trigger().run()
        assert (await told(second, 5) or {})["number"] == 0, "the next batch is news although the first is not read"
        assert await told(second) is None
        lake.ingest()
        lake.add("three")
        third = lake.trigger().run()
        seen = await told(third, 5)
        assert seen is not None
        assert seen["number"] == 1
        assert "three.csv" in json.dumps(seen["position"])

    asyncio.run(story())


def test_what_cannot_be_followed_is_said_and_tried_again(lake: Lake) -> None:
    lake.config["source"] = {"type": "files", "ur": "x"}

    async def story() -> None:
        assert await told(lake.trigger().run()) is None

    asyncio.run(story())


def test_a_killed_triggerer_tells_again(lake: Lake) -> None:
    lake.add("one")

    async def story() -> None:
        first = lake.trigger().run()
        assert await told(first, 5)
        await first.aclose()  # type: ignore[attr-defined] # a generator
        assert await told(lake.trigger().run(), 5), "nobody knows whether the event was handed on"

    asyncio.run(story())


def test_the_sensor_sees_what_the_chain_has_not(lake: Lake) -> None:
    sensor = NewDataSensor(task_id="s", config=lake.config, project="shop")
    with pytest.raises(TaskDeferred):
        sensor.execute({})  # type: ignore[typeddict-item] # needs nothing of it
    lake.add("one")
    found = sensor.execute({})  # type: ignore[typeddict-item] # idem
    assert (found["name"], found["number"]) == ("orders", 0)
    lake.ingest()
    with pytest.raises(TaskDeferred) as waiting:
        sensor.execute({})  # type: ignore[typeddict-item] # idem
    assert json.loads(json.dumps(waiting.value.trigger.serialize()[1]))["settings"]["config"] == lake.config


def test_the_sensor_fails_at_once_where_waiting_is_in_vain(lake: Lake) -> None:
    with pytest.raises(AirflowFailException, match="did you mean"):
        NewDataSensor(task_id="s", config={**lake.config, "mod": "full"}).execute({})  # type: ignore[typeddict-item]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(st.text(max_size=300), inner, max_size=40),
    max_leaves=60,
)


@given(JSON)
def test_a_summary_is_short_and_a_short_position_is_whole(position: Any) -> None:
    found = summarize(position)
    assert found == position or len(json.dumps(found)) <= MAX_BYTES
    if len(json.dumps(position)) <= MAX_BYTES:
        assert found == position


def test_a_long_position_says_how_much_there_is() -> None:
    found = summarize({"files": [{"uri": f"file:///lake/{number:05d}.csv", "size": number} for number in range(9_000)]})
    assert found["summary"]["files"][0]["uri"] == "file:///lake/00000.csv"
    assert found["summary"]["files"][-1] == "… 9,000 entries"
    assert len(found["digest"]) == 64

"""The story from its beginning to its end, with a server, an Airflow and a store that play along."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.endpoints.base import LateLabel
from aimass.core.endpoints.status import RegistryStatus, ServedModel, ServerStatus
from aimass.core.errors import SchemaMismatchError
from aimass.core.monitoring.result import MonitorResult, window_uri
from demo import story as story_module
from demo.errors import DemoError
from demo.home import Home
from demo.story import FLIGHTS_DAG, MODEL, MONITOR_DAG, PROJECT, Story
from demo.traffic import LATER_COLUMN, Flight

BEGIN = datetime(2026, 4, 1, tzinfo=UTC)


class World:
    """Server, Airflow and services in one: a run releases version 2, and a feed gone wrong brings version 1 back.

    Every look at the services judges one more window.
    """

    def __init__(self, folder: Path, *, comes_back: bool = True) -> None:
        runtime = Runtime(store=folder.as_uri(), project=PROJECT, run_id="story")
        self.store = Deps.from_runtime(runtime, purpose="test").store
        self.version = "1"
        self.paused: list[str] = []
        self.confs: list[Any] = []
        self.went_wrong = 0
        self._comes_back = comes_back
        self._looks = 0

    # --- the server ---------------------------------------------------------------------------------------------------

    def is_ready(self) -> bool:
        return True

    def status(self) -> ServerStatus:
        served = ServedModel(name=MODEL, aliases={"champion": self.version})
        return ServerStatus(
            server_id="one", started_at=BEGIN, generation=1, registry=RegistryStatus(reachable=True), models=[served]
        )

    def predict(self, model: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        if self.version == "2" and LATER_COLUMN not in rows[0]:
            raise SchemaMismatchError(f"{LATER_COLUMN} is missing")
        if rows[0].get(LATER_COLUMN, 1) < 0:
            self.went_wrong += 1
            if self._comes_back:
                self.version = "1"
        return {"version": self.version, "request_id": f"r{self._looks}"}

    def label(self, model: str, labels: Sequence[LateLabel]) -> None:
        """Nothing is learned here."""

    def _judge(self) -> None:
        self._looks += 1
        start = BEGIN + timedelta(minutes=self._looks)
        window = MonitorResult(
            model=MODEL, project=PROJECT, alias="champion", version=self.version, model_digest="", start=start,
            end=start + timedelta(minutes=1), rows=9, rows_by_version={self.version: 9}, no_data=False,
            metrics={"auc": 0.9},
        )  # fmt: skip
        self.store.publish(window_uri(self.store, window), json.dumps(window.model_dump(mode="json")).encode())

    # --- Airflow ------------------------------------------------------------------------------------------------------

    def get(self, *path: str, **query: Any) -> Any:
        return {"tags": [], "is_paused": False, "tasks": []}

    def trigger(self, dag_id: str, conf: Any) -> str:
        assert dag_id == FLIGHTS_DAG
        self.confs.append(conf)
        self.version = "2"
        return "manual__1"

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return {"state": "success"}

    def result(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        return {"version": "2", "metrics": {"auc": 0.93}}

    def pause(self, dag_id: str) -> None:
        self.paused.append(dag_id)

    # --- services -----------------------------------------------------------------------------------------------------

    def check_alive(self, names: set[str]) -> None:
        self._judge()


def told(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, flights: int) -> None:
    home = Home(tmp_path / "demo")
    home.prepare()
    home.choose_ports()
    row = {"month": 4, LATER_COLUMN: 5}
    passing = [Flight(BEGIN + timedelta(hours=number), row, False) for number in range(flights)]
    monkeypatch.setattr(story_module, "later_flights", lambda folder, every: iter(passing))
    monkeypatch.setattr(story_module, "improvement", lambda: {"columns": [LATER_COLUMN]})
    monkeypatch.setattr(story_module, "POLL_S", 0.005)
    # An hour of the flights takes a hundredth of a second.
    monkeypatch.setattr(story_module, "MINUTES", story_module.DAYS * 24 * 0.01 / 60)
    Story(home, world, world, world, world.store).tell()  # type: ignore[arg-type] # it plays all of them


def test_it_comes_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path / "store")
    told(world, tmp_path, monkeypatch, flights=400)
    lines = capsys.readouterr().out
    steps = (
        "version 1 of flights_late is served", "looks at it every minute", "runs again with dep_delay",
        "version 2 is released: AUC 0.930", "has switched to version 2", "counts minutes early", "a rule has fired",
        "recovered", "the story has ended", f"{MONITOR_DAG} rests",
    )  # fmt: skip
    places = [lines.find(step) for step in steps]
    assert places == sorted(places), lines
    assert places[0] >= 0
    assert re.search(r"window .*version 2, 9 answers, AUC 0\.900", lines)
    assert world.confs[0]["columns"][-1] == LATER_COLUMN
    assert world.went_wrong > 0
    assert world.paused == [MONITOR_DAG]
    assert (tmp_path / "demo" / "alerts" / "flights_late.yaml").exists()


def test_a_model_that_does_not_come_back_is_said_and_the_watch_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "store", comes_back=False)
    with pytest.raises(DemoError, match="The flights of June have ended before a rule has brought version 1 back"):
        told(world, tmp_path, monkeypatch, flights=150)
    assert world.paused == [MONITOR_DAG]

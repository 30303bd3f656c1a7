from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aimass.core.errors import ConfigError
from aimass.serving.errors import ModelNotFoundError, NotLoadedError, UnavailableError, VersionNotFoundError
from aimass.serving.generation import Generation
from aimass.serving.link import RemoteError
from aimass.serving.state import ModelEntry, Table, VersionRef
from aimass.serving.table import WorkerTable
from tests.unit.serving.loaded_models import tiny

VERSIONS = {number: tiny(version=number) for number in ("1", "2", "3")}


async def _never(model: str, version: str | None, alias: str | None) -> None:
    raise AssertionError("nothing is to be loaded")


def _entry(aliases: dict[str, str], *in_memory: str, **more: Any) -> ModelEntry:
    states = more.pop("states", {})
    versions = {number: VersionRef("d", states.get(number, "active")) for number in in_memory}
    return ModelEntry("flights", aliases, versions, **more)


def _table(entry: ModelEntry, ask: Any = _never) -> WorkerTable:
    generation = Generation.make()
    table = WorkerTable(generation, "champion", ask)
    table.memory |= {("late", number): loaded for number, loaded in VERSIONS.items()}
    table.prepare(Table(1, {"late": entry}))
    generation.write(1)
    return table


def test_a_request_that_names_nothing_gets_the_default_alias() -> None:
    table = _table(_entry({"champion": "2", "previous": "1"}, "1", "2"))
    assert table.resolve("late")[1:] == ("champion", False)
    assert table.resolve("late").loaded.version == "2"
    assert table.resolve("late", alias="previous").loaded.version == "1"
    assert table.resolve("late", version="1").alias == ""


def test_what_is_not_there_is_told_apart() -> None:
    table = _table(_entry({"champion": "2", "challenger": "3"}, "2"))
    with pytest.raises(ModelNotFoundError, match="Did you mean 'late'"):
        table.resolve("lat")
    with pytest.raises(VersionNotFoundError, match="no alias 'winner'"):
        table.resolve("late", alias="winner")
    for asked in ({"version": "9"}, {"alias": "challenger"}):
        with pytest.raises(NotLoadedError):
            table.resolve("late", **asked)


@pytest.mark.parametrize("state", ["deprecated", "draining", "archived"])
def test_a_version_on_its_way_out_is_answered_with_a_warning(state: str) -> None:
    assert _table(_entry({"champion": "1"}, "1", states={"1": state})).resolve("late").deprecated


def test_shares_are_kept_and_a_key_stays_at_its_side() -> None:
    table = _table(_entry({"champion": "1", "challenger": "2"}, "1", "2", traffic={"champion": 0.9, "challenger": 0.1}))
    keys = [f"customer-{number}" for number in range(5000)]
    seen = Counter(table.resolve("late", route_key=key).alias for key in keys)
    assert 400 < seen["challenger"] < 600
    assert [table.resolve("late", route_key=key).alias for key in keys[:100]] == [
        table.resolve("late", route_key=key).alias for key in keys[:100]
    ]
    assert table.resolve("late", alias="champion", route_key=keys[0]).alias == "champion"


def test_a_table_that_names_what_is_not_in_memory_is_refused() -> None:
    table = _table(_entry({"champion": "1"}, "1"))
    with pytest.raises(ConfigError, match="late@7"):
        table.prepare(Table(2, {"late": _entry({"champion": "7"}, "7")}))
    assert table.resolve("late").loaded.version == "1"


def test_columns_of_versions_that_are_gone_stay_known() -> None:
    assert _table(_entry({"champion": "1"}, "1", columns=["origin", "dep_delay"])).known_columns("late") == {
        "origin",
        "dep_delay",
    }


def test_those_who_ask_for_the_same_version_wait_for_one_load() -> None:
    asked: list[Any] = []

    async def scene() -> None:
        async def load(*what: Any) -> None:
            asked.append(what)
            await asyncio.sleep(0.01)
            table.prepare(Table(2, {"late": _entry({"champion": "1"}, "1", "3")}))
            table._generation.write(2)

        table = _table(_entry({"champion": "1"}, "1"), load)
        found = await asyncio.gather(*(table.ensure("late", version="3") for _ in range(10)))
        assert {resolved.loaded.version for resolved in found} == {"3"}

    asyncio.run(scene())
    assert asked == [("late", "3", None)]


@pytest.mark.parametrize(
    ("code", "error"), [("NotFoundError", VersionNotFoundError), ("UnreachableError", UnavailableError)]
)
def test_why_a_version_cannot_be_loaded_is_told(code: str, error: type[Exception]) -> None:
    async def refuse(*_: Any) -> None:
        raise RemoteError("it is not there", code=code)

    table = _table(_entry({"champion": "1"}, "1"), refuse)
    with pytest.raises(error, match="it is not there"):
        asyncio.run(table.ensure("late", version="9"))


class Switching(RuleBasedStateMachine):
    """Two workers that share the number: whatever is handed over, and when, both always answer by the same table."""

    def __init__(self) -> None:
        super().__init__()
        self.generation = Generation.make()
        self.workers = [self._worker(), self._worker()]
        self.number = 0
        self.champion: str | None = None
        self.handed: tuple[int, str] | None = None

    def _worker(self) -> WorkerTable:
        table = WorkerTable(self.generation, "champion", _never)
        table.memory |= {("late", number): loaded for number, loaded in VERSIONS.items()}
        return table

    @rule(champion=st.sampled_from(["1", "2", "3"]), only_first=st.booleans())
    def prepare(self, champion: str, only_first: bool) -> None:
        """Hand the next table over; a supervisor that died in between hands it to one of them only."""
        table = Table(self.number + 1, {"late": _entry({"champion": champion}, champion)})
        for worker in self.workers[: 1 if only_first else 2]:
            worker.prepare(table)
        self.handed = None if only_first else (table.generation, champion)

    @rule()
    def switch(self) -> None:
        if self.handed is not None:
            self.number, self.champion = self.handed
            self.generation.write(self.number)
            self.handed = None

    @rule(place=st.integers(0, 1))
    def start_anew(self, place: int) -> None:
        """A worker dies; its successor gets the table that holds."""
        self.workers[place] = self._worker()
        if self.champion is not None:
            self.workers[place].prepare(
                Table(self.number, {"late": _entry({"champion": self.champion}, self.champion)})
            )
        self.handed = None

    @invariant()
    def both_answer_by_the_same_table(self) -> None:
        for worker in self.workers:
            if self.champion is None:
                with pytest.raises(ModelNotFoundError):
                    worker.resolve("late")
            else:
                assert worker.resolve("late").loaded.version == self.champion


TestSwitching = Switching.TestCase
TestSwitching.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)

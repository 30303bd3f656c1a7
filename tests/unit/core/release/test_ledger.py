import json
from pathlib import Path

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.errors import CorruptDataError
from aimass.core.release.ledger import Ledger


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return Deps.from_runtime(Runtime(store=str(tmp_path), principal="ada", run_id="r1"))


@pytest.fixture
def ledger(deps: Deps) -> Ledger:
    return Ledger(deps, "late")


def entry_file(tmp_path: Path, index: int) -> Path:
    return tmp_path / "ledger" / "late" / f"{index:08d}.json"


def test_moves_are_kept_in_order_with_who_when_and_why(ledger: Ledger) -> None:
    ledger.record("champion", old=None, new="1", digest="a", why="first")
    ledger.record("champion", old="1", new="2", digest="b", why="better")
    first, second = ledger.entries()
    assert (first.who, first.why, first.run_id, first.before) == ("ada", "first", "r1", "")
    assert (second.old_version, second.new_version) == ("1", "2")
    assert second.before != ""
    assert "ada moved champion from version 1 to version 2: better" in second.text()


def test_a_retry_writes_no_second_entry(ledger: Ledger) -> None:
    first = ledger.record("champion", old="1", new="2", digest="b", why="better")
    before_the_alias_moved = ledger.record("champion", old="1", new="2", digest="b", why="better")
    after_the_alias_moved = ledger.record("champion", old="2", new="2", digest="b", why="better")
    assert first == before_the_alias_moved == after_the_alias_moved
    assert len(ledger.entries()) == 1


def test_coming_back_to_a_version_is_a_move_of_its_own(ledger: Ledger) -> None:
    ledger.record("champion", old=None, new="1", digest="a", why="first")
    ledger.record("champion", old="1", new="2", digest="b", why="better")
    ledger.record("champion", old="2", new="1", digest="a", why="it went bad")
    assert [entry.new_version for entry in ledger.entries()] == ["1", "2", "1"]


def test_a_move_made_elsewhere_is_not_taken_for_a_retry(ledger: Ledger) -> None:
    ledger.record("champion", old="1", new="2", digest="b", why="better")
    ledger.record("champion", old="7", new="2", digest="b", why="somebody had set 7 by hand")
    assert [entry.old_version for entry in ledger.entries()] == ["1", "7"]


def test_a_changed_entry_is_noticed(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record("champion", old=None, new="1", digest="a", why="first")
    ledger.record("champion", old="1", new="2", digest="b", why="better")
    entry = json.loads(entry_file(tmp_path, 0).read_text())
    entry_file(tmp_path, 0).write_text(json.dumps({**entry, "who": "eve"}))
    with pytest.raises(CorruptDataError, match="does not follow"):
        ledger.entries()


def test_a_removed_entry_is_noticed(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record("champion", old=None, new="1", digest="a", why="first")
    ledger.record("champion", old="1", new="2", digest="b", why="better")
    entry_file(tmp_path, 0).unlink()
    with pytest.raises(CorruptDataError, match="missing"):
        ledger.entries()

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from aimass.core.deps import Deps, Runtime
from aimass.core.errors import CorruptDataError
from aimass.core.gc import Garbage, collect_garbage, find_garbage
from aimass.core.settings import InputUri
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult
from aimass.core.storage import Store

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class MakeConfig(StageConfig):
    """Makes rows."""

    n: int = Field(description="How many.")


class NextConfig(StageConfig):
    """Takes an output."""

    dataset: InputUri = Field(description="Of which output.")
    n: int = Field(default=0, description="Any number.")


def _make(config: MakeConfig, deps: Deps, output: Output) -> StageResult:
    output.dataset().write(pa.table({"a": list(range(config.n))}))
    return StageResult()


def _next(config: NextConfig, deps: Deps, output: Output) -> StageResult:
    output.write_file("x.json", str(config.n))
    return StageResult()


MAKE = Stage("make", MakeConfig, StageResult, 1, _make)
TRAIN = Stage("train", NextConfig, StageResult, 1, _next)
RELEASE = Stage("release", NextConfig, StageResult, 1, _next)
ROLLBACK = Stage("rollback", NextConfig, StageResult, 1, _next)


def deps(root: Path, run: str = "r1") -> Deps:
    return Deps.from_runtime(Runtime(store=str(root), project="p", run_id=run))


def make(root: Path, n: int, run: str = "r1") -> str:
    return MAKE.run(MAKE.parse({"n": n}), deps(root, run)).uri


def follow(stage: Stage[NextConfig, StageResult], root: Path, uri: str, n: int = 0, run: str = "r1") -> str:
    return stage.run(stage.parse({"dataset": uri, "n": n}), deps(root, run)).uri


def age(path: Path, days: float) -> None:
    at = (NOW - timedelta(days=days)).timestamp()
    for file in [path, *path.rglob("*")]:
        os.utime(file, (at, at))


def garbage(root: Path) -> list[Garbage]:
    return find_garbage(Store(str(root)), now=NOW)


def test_an_empty_or_missing_store_has_no_garbage(tmp_path: Path) -> None:
    assert garbage(tmp_path) == []
    assert garbage(tmp_path / "gone") == []


@pytest.mark.parametrize("lasting", [RELEASE, ROLLBACK])
def test_what_people_ask_for_years_later_keeps_all_that_it_was_made_from(
    tmp_path: Path, lasting: Stage[NextConfig, StageResult]
) -> None:
    kept = make(tmp_path, 3)
    model = follow(TRAIN, tmp_path, kept)
    released = follow(lasting, tmp_path, model)
    lost = make(tmp_path, 4)
    age(tmp_path, 365)
    found = {item.uri: item.kind for item in garbage(tmp_path)}
    assert found.pop(lost) == "unreferenced"
    assert list(found.values()) == ["old run"]
    assert not {kept, model, released} & found.keys()


def test_what_a_recent_run_used_is_kept_however_old_it_is(tmp_path: Path) -> None:
    uri = make(tmp_path, 3)
    age(tmp_path, 365)
    assert make(tmp_path, 3, run="r2") == uri
    age(tmp_path / "p" / "runs" / "r2", 1)
    assert {item.kind for item in garbage(tmp_path)} == {"old run"}


def test_what_a_running_task_may_be_writing_is_kept(tmp_path: Path) -> None:
    uri = make(tmp_path, 3)
    (tmp_path / "p/make" / Path(uri).name / "manifest.json").unlink()
    age(tmp_path, 1)
    assert garbage(tmp_path) == []
    age(tmp_path, 3)
    assert [(item.kind, item.uri) for item in garbage(tmp_path)] == [("orphan", uri)]


def test_what_a_manifest_does_not_name_is_an_orphan(tmp_path: Path) -> None:
    uri = make(tmp_path, 3)
    stray = tmp_path / "p/make" / Path(uri).name / ".staging-abc"
    stray.write_text("half")
    age(tmp_path, 3)
    (item,) = garbage(tmp_path)
    assert item == Garbage("orphan", f"{uri}/.staging-abc", 4, "the manifest does not name it")


def test_an_unreadable_manifest_stops_everything(tmp_path: Path) -> None:
    uri = make(tmp_path, 3)
    (tmp_path / "p/make" / Path(uri).name / "manifest.json").write_text("{}")
    age(tmp_path, 365)
    with pytest.raises(CorruptDataError, match="nothing was deleted"):
        garbage(tmp_path)


def test_files_that_are_not_outputs_are_never_touched(tmp_path: Path) -> None:
    for name in ("ledger/m/1.json", "mlflow.db", "p/notes.txt", "p/make/README/x/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    age(tmp_path, 365)
    assert garbage(tmp_path) == []


def test_collecting_deletes_just_that_and_finds_nothing_more(tmp_path: Path) -> None:
    kept = follow(RELEASE, tmp_path, make(tmp_path, 3))
    lost = make(tmp_path, 4)
    age(tmp_path, 365)
    store = Store(str(tmp_path))
    assert [error for _, error in collect_garbage(store, garbage(tmp_path))] == [None, None]
    assert not store.exists(lost)
    assert store.exists(kept)
    assert garbage(tmp_path) == []


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.sampled_from([0, 10, 40])), min_size=1, max_size=6),
)
def test_nothing_reachable_is_ever_garbage(
    tmp_path_factory: pytest.TempPathFactory, chains: list[tuple[int, bool, int]]
) -> None:
    """Chains make → train (→ release) of random ages: whatever a kept output was made from is kept."""
    root = tmp_path_factory.mktemp("store")
    made: list[tuple[str, str, str | None, int]] = []
    for index, (n, is_released, days) in enumerate(chains):
        run = f"r{index}"
        data = make(root, n, run)
        model = follow(TRAIN, root, data, n=index, run=run)
        release = follow(RELEASE, root, model, run=run) if is_released else None
        made.append((data, model, release, days))
        age(root / "p" / "runs" / run, days)
    age(root / "p" / "make", 365)
    age(root / "p" / "train", 365)
    lost = {item.uri for item in garbage(root) if item.kind == "unreferenced"}
    for data, model, release, days in made:
        if release is not None or days < 30:
            assert not {data, model} & lost
        else:
            assert model in lost

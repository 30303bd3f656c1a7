"""What the stage makes of a MySQL table: changed columns between incremental reads, and a snapshot of one moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aimass.core import datasets
from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps, Runtime
from aimass.core.errors import SchemaMismatchError
from aimass.core.stages.ingest import IngestConfig, run
from tests.services.mariadb import MariaDb

pytestmark = [pytest.mark.integration("mysql"), pytest.mark.xdist_group("mysql")]

Ingest = Callable[..., pl.DataFrame]


class Passing:
    """Does something, once, when a part has been written while others are still to come."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self._action: Callable[[], Any] | None = action

    def hit(self, name: str) -> None:
        """Do it."""
        action, self._action = self._action, None if name == "part_staged" else self._action
        if action is not None and name == "part_staged":
            action()

    @property
    def is_over(self) -> bool:
        """Whether it has been done."""
        return self._action is None


@pytest.fixture
def ingest(server: MariaDb, table: str, tmp_path: Path) -> Ingest:
    """Return what reads the test's table in a run and returns all rows of the dataset."""
    runtime = Runtime(store=str(tmp_path / "store"), connections={"aimass_mysql": server.connection()})

    def ingest(run_id: str, source: dict[str, Any] | None = None, failpoints: Any = None, **more: Any) -> pl.DataFrame:
        named = {"type": "mysql", "table": table, **(source or {"incremental": ["id"]})}
        others = {} if failpoints is None else {"failpoints": failpoints}
        deps = Deps.from_runtime(runtime.model_copy(update={"run_id": run_id}), **others)
        config = IngestConfig(name="t", source=named, **{"mode": "incremental", **more})
        return open_dataset(run(config, deps).uri, deps).read()

    return ingest


@pytest.mark.parametrize(
    ("change", "rows", "rule", "said", "read"),
    [
        (
            "MODIFY amount BIGINT", [[3, 3 << 40, "c"]], "on_widened_type", "widened amount",
            [(1, 10, "a"), (2, 20, "b"), (3, 3 << 40, "c")],
        ),
        (
            "DROP COLUMN note", [[3, 30]], "on_lost_column", "lost note",
            [(1, 10, "a"), (2, 20, "b"), (3, 30, None)],
        ),
        (
            "ADD day INT", [[3, 30, "c", 7]], "on_added_column", "added day",
            [(1, 10, "a", None), (2, 20, "b", None), (3, 30, "c", 7)],
        ),
    ],
    ids=["widened", "lost", "added"],
)  # fmt: skip
def test_changed_columns_are_an_error_until_accepted(
    server: MariaDb, table: str, ingest: Ingest, change: str, rows: Sequence[Sequence[Any]], rule: str, said: str,
    read: Sequence[tuple[Any, ...]],
) -> None:  # fmt: skip
    server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, amount INT, note TEXT)")
    server.run(f"INSERT INTO {table} VALUES (1, 10, 'a'), (2, 20, 'b')")
    first = ingest("1")
    server.run(f"ALTER TABLE {table} {change}")
    server.run(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows=rows)
    with pytest.raises(SchemaMismatchError, match=said) as caught:
        ingest("2")
    assert f"`{rule}: accept`" in str(caught.value)
    assert ingest("3", **{rule: "accept"}).sort("id").rows() == list(read)
    # What was published before is what it was.
    assert ingest("1").equals(first)
    # Accepted once, the change is the chain's, and asks for no rule any more.
    assert ingest("4").height == len(read)


def test_a_snapshot_is_of_one_moment(
    server: MariaDb, table: str, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "ROWS_PER_CHECKPOINT", 500)
    server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, value INT)")
    server.run(f"INSERT INTO {table} SELECT seq, 1 FROM seq_1_to_20000")
    meanwhile = [f"UPDATE {table} SET value = 2", f"DELETE FROM {table} WHERE id > 10000"]
    passing = Passing(lambda: server.run(*meanwhile))
    found = ingest("1", {"consistency": "snapshot"}, passing, mode="snapshot")
    assert passing.is_over
    assert found.height == 20_000
    assert found["value"].unique().to_list() == [1]
    assert ingest("2", {"consistency": "snapshot"}, mode="snapshot")["value"].unique().to_list() == [2]

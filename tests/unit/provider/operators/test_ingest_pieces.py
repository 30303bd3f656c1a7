"""One source read by several tasks, and what is told of incremental reads."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, TriggerRule

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.hooks.runtime import build_runtime
from aimass.operators.ingest import IngestOperator
from aimass.operators.ingest_pieces import GatherIngestOperator, PlanIngestOperator


class Shop:
    """A folder of files, and the tasks that read it run by run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.config: dict[str, Any] = {
            "name": "orders", "source": {"type": "files", "uri": str(folder / "*.csv")}, "mode": "incremental"
        }  # fmt: skip
        self.runs = 0
        self.events: dict[Any, Any] = {}

    def add(self, *names: str) -> None:
        for name in names:
            (self.folder / f"{name}.csv").write_text(f"a\n{name}1\n{name}2\n")

    def context(self) -> Any:
        run = SimpleNamespace(dag_id="d", run_id=f"r{self.runs}", conf={}, triggering_user_name="ada")
        self.events = defaultdict(SimpleNamespace)
        return {"dag_run": run, "ti": SimpleNamespace(xcom_push=lambda **_: None), "outlet_events": self.events}

    def run_in_pieces(self) -> tuple[int, dict[str, Any]]:
        """Return into how many pieces a run cut what was new, and what it published."""
        self.runs += 1
        plan = PlanIngestOperator(task_id="plan", config=self.config, partitions=3, project="shop")
        configs = plan.execute(self.context())
        pieces = [IngestOperator(task_id="read", config=one, project="shop").execute(self.context()) for one in configs]
        gather = GatherIngestOperator(task_id="orders", config=self.config, pieces=pieces or None, project="shop")
        found = gather.execute(self.context())
        return len(configs), {**found, "event": next(iter(self.events.values())).extra}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", str(tmp_path / "store"))
    return Shop(tmp_path / "orders")


def values(uri: str) -> list[str]:
    deps = Deps.from_runtime(build_runtime(store_conn_id="aimass_store", tracking_conn_id="aimass_mlflow"))
    return sorted(open_dataset(uri, deps).read()["a"].to_list())


def test_pieces_become_one_dataset_and_the_chain_goes_on(shop: Shop) -> None:
    shop.add("a", "b", "c", "d")
    pieces, first = shop.run_in_pieces()
    assert 2 <= pieces <= 3
    assert values(first["uri"]) == sorted(f"{name}{number}" for name in "abcd" for number in (1, 2))
    shop.add("e")
    _, second = shop.run_in_pieces()
    assert second["rows"] == 10
    told = {name: second["event"][name] for name in ("name", "mode", "new_rows", "link", "rows")}
    assert told == {"name": "orders", "mode": "incremental", "new_rows": 2, "link": 1, "rows": 10}
    assert "e.csv" in json.dumps(second["event"]["position"])


def test_where_nothing_is_new_the_last_dataset_is_the_answer(shop: Shop) -> None:
    shop.add("a")
    _, first = shop.run_in_pieces()
    pieces, again = shop.run_in_pieces()
    assert pieces == 0
    assert (again["uri"], again["reused"]) == (first["uri"], True)


def test_gather_runs_after_pieces_that_were_skipped() -> None:
    with DAG("d", schedule=None):
        plan = PlanIngestOperator(task_id="plan", config={})
        read = IngestOperator.partial(task_id="read").expand(config=plan.output)
        gather = GatherIngestOperator(task_id="orders", config={}, pieces=read.output)
    assert gather.trigger_rule == TriggerRule.NONE_FAILED
    assert gather.upstream_task_ids == {"read"}
    assert plan.outlets == []

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.exceptions import AirflowFailException

from aimass.core.progress import ProgressEvent
from aimass.operators.assets import create_asset, event_extra, sanitize_uri, stage_asset
from aimass.operators.ingest import IngestOperator
from aimass.operators.join import JoinOperator
from aimass.operators.progress import STATE_KEY, TaskProgress
from aimass.operators.stage import StageOperator


class Events(dict[Asset, Any]):
    def __missing__(self, asset: Asset) -> SimpleNamespace:
        self[asset] = SimpleNamespace(extra={})
        return self[asset]


class Instance:
    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


class State:
    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.calls = 0

    def set(self, key: str, value: Any) -> None:
        self.calls += 1
        self.values[key] = json.loads(json.dumps(value))


def context(conf: dict[str, Any] | None = None) -> Any:
    run = SimpleNamespace(dag_id="d", run_id="manual__1", conf=conf or {}, triggering_user_name="ada")
    return {"dag_run": run, "ti": Instance(), "outlet_events": Events(), "task_state_store": State()}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", str(tmp_path / "store"))
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{n},x{n % 3}\n" for n in range(50)))
    return {"name": "t", "source": {"type": "files", "uri": str(tmp_path / "t.csv")}}


def test_an_operator_runs_its_stage_and_tells_the_asset(source: dict[str, Any]) -> None:
    task = IngestOperator(task_id="ingest", config=source, project="shop")
    here = context()
    result = task.execute(here)
    assert result["rows"] == 50
    assert "/shop/ingest/" in result["uri"]
    assert here["ti"].xcoms == {"uri": result["uri"]}
    (asset,) = task.outlets
    assert asset.uri == "aimass://shop/ingest"
    told = here["outlet_events"][asset].extra
    assert "t.csv" in json.dumps(told.pop("position"))
    assert told == {
        "uri": result["uri"],
        "digest": result["digest"],
        "rows": 50,
        "reused": False,
        "name": "t",
        "mode": "full",
        "new_rows": 50,
        "rejected": 0,
        "link": None,
    }
    assert json.loads(json.dumps(result)) == result
    assert here["task_state_store"].values[STATE_KEY]["text"]
    assert task.execute(context())["reused"] is True


def test_the_conf_changes_what_it_may(source: dict[str, Any]) -> None:
    task = IngestOperator(task_id="i", config=source, conf_keys={"sources.t": "source"})
    changed = task.stage_config(context({"sources": {"t": {"columns": ["a"]}}}))
    assert changed["source"]["columns"] == ["a"]
    assert "columns" not in source["source"]


def test_a_conf_that_names_a_path_fails_without_a_retry(source: dict[str, Any]) -> None:
    task = IngestOperator(task_id="i", config=source, conf_keys={"sources.t": "source"})
    with pytest.raises(AirflowFailException, match="allowed_roots"):
        task.execute(context({"sources": {"t": {"uri": "/etc/passwd"}}}))


def test_a_missing_file_fails_without_a_retry(source: dict[str, Any]) -> None:
    source["source"]["uri"] += ".gone"
    with pytest.raises(AirflowFailException):
        IngestOperator(task_id="i", config=source).execute(context())


def test_an_unknown_compute_is_named(source: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match="local"):
        IngestOperator(task_id="i", config=source, compute="locl").execute(context())


def test_join_takes_the_results_of_a_mapped_ingest() -> None:
    task = JoinOperator(task_id="j", table_names=["a", "b"], config={"tables": [{"uri": "u1"}, {"uri": "u2"}]})
    assert task.stage_config(context())["tables"] == {"a": "u1", "b": "u2"}


def test_constructing_only_stores() -> None:
    with DAG("d", schedule=None):
        task = IngestOperator(task_id="i", config={"source": "{{ nonsense", "name": 3}, project="{{ params.p }}")
    assert task.outlets == []
    assert task.config == {"source": "{{ nonsense", "name": 3}


def test_execute_is_thin() -> None:
    lines = inspect.getsource(StageOperator.execute).splitlines()
    assert len(lines) <= 25


def test_links_come_from_the_result() -> None:
    from aimass.links.mlflow import MlflowRunLink, ModelVersionLink
    from aimass.links.report import ReportLink

    released = {"name": "late flights", "version": "3", "model_uri": "models:/late/3"}
    done: Any = SimpleNamespace(
        result_={"report": "http://r", "best": "b", "run_urls": {"a": "http://a", "b": "http://b"}, **released}
    )
    key: Any = SimpleNamespace(dag_id="d", run_id="r+1", task_id="t", map_index=-1)
    assert ReportLink().get_link(done, ti_key=key).endswith("/aimass/pipelines/d/runs/r%2B1/tasks/t/report")
    assert MlflowRunLink().get_link(done, ti_key=key) == "http://b"
    assert ModelVersionLink().get_link(done, ti_key=key) == "models:/late/3"
    done.registry_uri_ = "https://user:secret@mlflow:5000/"
    assert ModelVersionLink().get_link(done, ti_key=key) == "https://mlflow:5000/#/models/late%20flights/versions/3"
    failed: Any = SimpleNamespace()
    assert [link().get_link(failed, ti_key=key) for link in (ReportLink, MlflowRunLink, ModelVersionLink)] == [""] * 3


def test_a_refused_stage_still_leads_to_what_it_published(source: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n" + "2\n" * 5)
    source["source"]["types"] = {"a": "boolean"}
    task = IngestOperator(task_id="i", config={**source, "max_reject_share": 0})
    with pytest.raises(AirflowFailException):
        task.execute(context())
    assert task.result_["rejected"] > 0
    assert task.result_["uri"]


def test_progress_is_told_sparingly_and_the_end_always() -> None:
    state = State()
    lines: list[str] = []
    progress = TaskProgress(SimpleNamespace(info=lines.append), {"task_state_store": state})  # type: ignore[arg-type]
    for done in range(1, 1001):
        progress.report(ProgressEvent("reading", done=done, total=1000, unit="rows"))
    assert len(lines) == 2
    assert state.calls == 2
    assert state.values["progress"]["done"] == 1000


def test_a_broken_state_store_does_not_fail_the_work() -> None:
    class Broken:
        def set(self, key: str, value: Any) -> None:
            raise RuntimeError("no")

    lines: list[str] = []
    progress = TaskProgress(SimpleNamespace(info=lines.append), {"task_state_store": Broken()})  # type: ignore[arg-type]
    progress.report(ProgressEvent("x"))
    assert lines == ["x"]


def test_assets() -> None:
    asset = create_asset(project="p", artifact="train", extra={"a": 1})
    assert (asset.uri, asset.extra) == ("aimass://p/train", {"a": 1})
    assert stage_asset("p", "train").name == "p.train"
    assert event_extra({"uri": "u", "rows": None, "reused": False, "secret": 1}) == {"uri": "u", "reused": False}
    with pytest.raises(ValueError, match="aimass://"):
        Asset(name="x", uri="aimass://p")
    assert sanitize_uri


def test_operators_stay_light() -> None:
    code = (
        "import airflow.sdk, sys, pkgutil, importlib\n"
        "import aimass.operators as o, aimass.pipelines\n"
        "for m in pkgutil.iter_modules(o.__path__): importlib.import_module(f'aimass.operators.{m.name}')\n"
        "heavy = {'numpy', 'pandas', 'polars', 'pyarrow', 'sklearn', 'mlflow', 'optuna'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")

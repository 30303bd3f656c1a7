from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from aimass.core.stages.monitor import STAGE
from aimass.notifications.notifier import ModelNotifier
from aimass.pipelines.actions import Watched, batch_predict_dag, improve_dag, retire_dag, rollback_dag
from aimass.pipelines.load import PipelineError
from aimass.pipelines.monitors import load_watch, monitor_dags

WATCH = """\
model: late
endpoint: [aimass_serving, second]
schedule: "@hourly"
notify: [{type: smtp, to: [team@example.org], min_level: 3}]
rules:
  - {name: drift, metric: drifted_columns, above: 0}
  - {name: bad, metric: auc, below: 0.5, k: 2, n: 3, action: rollback}
  - {name: old, metric: auc, below: 0.6, k: 2, n: 3, action: retrain}
"""


@pytest.fixture
def alerts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "include" / "alerts"
    folder.mkdir(parents=True)
    (tmp_path / "include" / "pipelines").mkdir()
    return folder


def dags(folder: Path) -> dict[str, DAG]:
    return monitor_dags(folder.parent.parent / "dags" / "x.py")


def test_a_watch_file_becomes_a_dag_with_a_task_for_each_action(alerts: Path) -> None:
    (alerts / "late.yaml").write_text(WATCH)
    dag = dags(alerts)["aimass_monitor_late"]
    assert set(dag.task_ids) == {"scrape", "monitor", "judge", "rollback", "retrain"}
    assert dag.get_task("judge").downstream_task_ids == {"rollback", "retrain"}
    assert dag.get_task("retrain").trigger_dag_id == "aimass_improve"
    assert dag.get_task("monitor").config["min_rows"] == 200
    assert dag.get_task("monitor").config["evidently"] == "never"
    assert dag.max_active_runs == 1
    assert dag.is_paused_upon_creation is False


def test_a_watch_file_may_ask_for_evidentlys_report(alerts: Path) -> None:
    (alerts / "late.yaml").write_text(f"{WATCH}evidently: alarm\n")
    config = dags(alerts)["aimass_monitor_late"].get_task("monitor").config
    assert config["evidently"] == "alarm"
    window = {"start": "2026-04-01T12:00:00Z", "end": "2026-04-01T13:00:00Z"}
    assert STAGE.parse({**config, **window}).evidently == "alarm"


@pytest.mark.parametrize(
    ("text", "key", "told"),
    [
        (WATCH.replace("drifted_columns", "drifted_colums"), "rules.0.metric", "did you mean 'drifted_columns'"),
        (WATCH.replace("k: 2, n: 3, action: rollback", "k: 1, action: rollback"), "rules", "set k to 2 or more"),
        (WATCH.replace('"@hourly"', '"every hour"'), "schedule", "neither a cron expression"),
        (WATCH.replace("smtp", "pigeon"), "notify.0", "pigeon"),
        (WATCH.replace("modl: late", ""), "", ""),
        (f"{WATCH}evidently: true\n", "evidently", "'never', 'alarm' or 'always'"),
        ("rules: []\nmodle: late\n", "modle", "did you mean 'model'"),
        ("- a list\n", "", "expected a mapping"),
    ],
)
def test_a_broken_file_becomes_a_dag_that_says_so_and_harms_no_other(
    alerts: Path, text: str, key: str, told: str
) -> None:
    (alerts / "good.yaml").write_text(WATCH.replace("model: late", "model: good"))
    (alerts / "late.yaml").write_text(text)
    found = dags(alerts)
    assert set(found) == {"aimass_monitor_good", "aimass_monitor_late"}
    if told:
        broken = found["aimass_monitor_late"]
        assert "broken" in broken.tags
        assert "airflow aimass monitor check" in str(broken.doc_md)
        with pytest.raises(PipelineError) as caught:
            load_watch(alerts / "late.yaml")
        assert any(place.startswith(key) and told in words for place, words in caught.value.mistakes)


def test_two_files_cannot_watch_one_model(alerts: Path) -> None:
    (alerts / "a.yaml").write_text(WATCH)
    (alerts / "b.yaml").write_text(WATCH)
    found = dags(alerts)
    assert set(found) == {"aimass_monitor_late", "aimass_monitor_b"}
    assert "watches 'late' already" in str(found["aimass_monitor_b"].doc_md)


def test_what_watch_files_name_is_allowed_and_told(alerts: Path) -> None:
    (alerts / "late.yaml").write_text(WATCH)
    (alerts / "wrong.yaml").write_text("model: [")
    watched = Watched(alerts.parent.parent / "dags" / "x.py")
    assert watched.conn_ids == ["aimass_serving", "second"]
    (notifier,) = watched.notifiers("failure")
    assert [one["type"] for one in notifier.channels_of({"dag_run": {"conf": {"model": "late"}}})] == ["smtp"]  # type: ignore[typeddict-item]
    assert notifier.channels_of({"dag_run": {"conf": {"model": "other"}}}) == ()  # type: ignore[typeddict-item]
    assert isinstance(notifier, ModelNotifier)


@pytest.mark.parametrize(
    ("make", "fields"),
    [
        (rollback_dag, {"model", "endpoint", "alias", "to", "leave", "why", "evidence"}),
        (retire_dag, {"model", "endpoint", "version", "why", "grace_minutes", "wait_hours", "force"}),
        (batch_predict_dag, {"model", "alias", "version", "input", "columns", "shards"}),
        (improve_dag, {"model", "endpoint", "alias", "why", "metric", "max_drop", "decide", "language", "pipeline"}),
    ],
)
def test_a_form_has_flat_typed_fields_with_titles(alerts: Path, make: Callable[[Any], DAG], fields: set[str]) -> None:
    (alerts / "late.yaml").write_text(WATCH)
    dag = make(alerts.parent.parent / "dags" / "x.py")
    assert set(dag.params) == fields
    for name, param in dag.params.items():
        schema = dag.params.get_param(name).schema
        assert schema["title"], param
        assert dag.params.get_param(name).description
        assert "object" not in schema["type"]
    assert dag.on_failure_callback
    assert all(task.retries for task in dag.tasks)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import DownstreamTasksSkipped

from aimass.core.monitoring.events import AlertLog
from aimass.notifications.base import Message
from aimass.operators.alert import AlertOperator
from tests.unit.provider.in_use import MODEL, World, context, make_world

WATCH: dict[str, Any] = {
    "model": MODEL,
    "notify": [{"type": "smtp", "to": ["team@example.org"]}],
    "rules": [
        {"name": "bad", "metric": "auc", "below": 0.5, "k": 2, "n": 3, "level": 4, "action": "rollback", "why": "x"},
        {"name": "down", "metric": "servers_down", "above": 0, "k": 1, "n": 1, "action": "page"},
    ],
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """What would have been sent, since no mail server runs here."""
    found: list[Message] = []
    monkeypatch.setattr("aimass.notifications.smtp.SmtpChannel.send", lambda self, message: found.append(message))
    return found


def window(hour: int, **metrics: float) -> dict[str, Any]:
    return {
        "uri": f"memory://window/{hour}", "model": MODEL, "project": "shop", "alias": "champion", "version": "3",
        "model_digest": "d", "start": f"2026-04-01T{hour:02}:00:00Z", "end": f"2026-04-01T{hour + 1:02}:00:00Z",
        "rows": 500, "rows_by_version": {"3": 500}, "no_data": False, "metrics": metrics,
    }  # fmt: skip


def judge(found: dict[str, Any], run_id: str = "scheduled__1") -> tuple[dict[str, Any], list[str]]:
    """Return what the task returns and pushes, and which tasks it skips."""
    with DAG("aimass_monitor_late", schedule=None):
        task = AlertOperator(task_id="judge", watch=WATCH, window=found, project="shop")
        task >> [BaseOperator(task_id=name) for name in ("rollback", "retrain")]
    here = context()
    here["dag_run"].run_id = run_id
    with pytest.raises(DownstreamTasksSkipped) as skipping:
        task.execute(here)
    return here["ti"].xcoms, skipping.value.tasks


def test_good_windows_start_nothing_and_tell_nobody(world: World, sent: list[Message]) -> None:
    for hour in range(4):
        told, skipped = judge(window(hour, auc=0.9))
        assert skipped == ["retrain", "rollback"]
        assert told["return_value"]["orders"] == []
    assert sent == []


def test_an_order_is_the_conf_of_a_run_and_the_same_when_judged_again(world: World, sent: list[Message]) -> None:
    judge(window(1, auc=0.4))
    first, skipped = judge(window(2, auc=0.4))
    assert skipped == ["retrain"]
    assert first["rollback"]["conf"] == {
        "model": MODEL, "why": first["rollback"]["conf"]["why"], "endpoint": "aimass_serving", "alias": "champion",
        "leave": "3", "evidence": "memory://window/2",
    }  # fmt: skip
    assert "auc is 0.4" in first["rollback"]["conf"]["why"]
    again, _ = judge(window(2, auc=0.4), run_id="manual__2")
    assert again["rollback"] == first["rollback"]
    assert len(AlertLog(world.deps, "shop", MODEL).newest()) == 2
    assert [message.subject for message in sent] == ["late: critical alert"]
    assert "bad: auc is 0.4, below 0.5 in 2 of 3 windows" in sent[0].text


def test_a_window_without_data_orders_nothing(world: World, sent: list[Message]) -> None:
    judge(window(1, auc=0.4))
    for hour in range(2, 6):
        assert "rollback" not in judge(window(hour))[0]


def test_what_a_window_without_data_says_of_the_model_is_not_acted_on(world: World, sent: list[Message]) -> None:
    for hour in range(1, 6):
        told, _ = judge({**window(hour, rows=3, auc=0.2), "rows": 3, "no_data": True})
        assert told["return_value"]["orders"] == []
        assert told["return_value"]["readings"][0] == {
            "rule": "bad", "metric": "auc", "value": None, "verdict": "no_data",
            "standing": "ok" if hour < 3 else "no_data",
        }  # fmt: skip
    assert ["no data about auc in 3 windows" in message.text for message in sent] == [True]


def test_an_older_window_changes_nothing(world: World, sent: list[Message]) -> None:
    judge(window(5, auc=0.9))
    told, skipped = judge(window(1, auc=0.1))
    assert (told["return_value"]["events"], skipped) == ([], ["retrain", "rollback"])


def test_a_server_that_is_down_pages_somebody_however_often(world: World, sent: list[Message]) -> None:
    world.server.down = True
    judge(window(1, auc=0.9), "scheduled__1")
    world.server.down = False
    judge(window(2, auc=0.9), "scheduled__2")
    judge(window(3, auc=0.9), "scheduled__3")
    world.server.down = True
    judge(window(4, auc=0.9), "scheduled__4")
    pages = [message for message in sent if "above 0" in message.text]
    assert len(pages) == 2, "what pages somebody is never held back"

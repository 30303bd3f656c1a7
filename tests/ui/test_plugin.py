"""What Airflow loads: the menu entry and the tabs, the app behind them, and nothing that could take Airflow down."""

from __future__ import annotations

import sys

import pytest
from fastapi import Request

from aimass.ui.pages import links_of
from aimass.ui.plugin import AimassPlugin


def test_each_place_of_airflow_has_one_view_of_ours() -> None:
    views = AimassPlugin().external_views
    assert sorted(view["destination"] for view in views) == ["dag", "dag_run", "nav", "task_instance"]
    assert len({view["url_route"] for view in views}) == len(views)
    assert {view["href"].split("/")[1] for view in views} == {"aimass"}


def test_addresses_hold_the_path_at_which_airflow_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://host.example/airflow/")
    assert all(view["href"].startswith("/airflow/aimass/") for view in AimassPlugin().external_views)
    links = links_of(Request({"type": "http", "root_path": "/airflow/aimass", "headers": []}))
    assert links.page("models", "a/b") == "/airflow/aimass/models/a%2Fb"
    assert links.airflow("dags", "x") == "/airflow/dags/x"


def test_pages_that_cannot_be_loaded_leave_airflow_running(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("aimass.ui.app", "aimass.ui.trigger_check"):
        monkeypatch.setitem(sys.modules, module, None)
    assert AimassPlugin().fastapi_apps == []
    assert AimassPlugin().fastapi_root_middlewares == []

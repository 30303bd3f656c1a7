"""What Airflow loads through the entry point `airflow.plugins`.

Every Airflow process imports this module, the API server alone evaluates the properties: the app, with FastAPI and the
database models, is imported there.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin

from aimass.links.airflow_pages import base_url
from aimass.links.pages import PREFIX

log = logging.getLogger(__name__)
TABS = {
    "dag": "dag/{DAG_ID}",
    "dag_run": "run/{DAG_ID}/{RUN_ID}",
    "task_instance": "task/{DAG_ID}/{RUN_ID}/{TASK_ID}/{MAP_INDEX}",
}


class AimassPlugin(AirflowPlugin):
    """The menu entry "AI Mass", a tab on the pages of DAGs, runs and tasks, and the app behind them."""

    name = "aimass"

    @property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override] # Airflow reads it from an instance
        """The menu entry and the tabs; addresses hold the path at which Airflow itself is served."""
        root = urlsplit(base_url()).path + PREFIX
        look = {
            "name": "AI Mass",
            "icon": f"{root}/static/icon.svg",
            "icon_dark_mode": f"{root}/static/icon.svg",
        }
        menu: dict[str, Any] = {"href": f"{root}/", "destination": "nav", "url_route": "aimass", "nav_top_level": True}
        tabs: list[dict[str, Any]] = [
            {"href": f"{root}/tabs/{path}", "destination": place, "url_route": f"aimass-{place.replace('_', '-')}"}
            for place, path in TABS.items()
        ]
        return [{**look, **view} for view in (menu, *tabs)]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override] # Airflow reads it from an instance
        """The app, mounted beside Airflow's own."""
        try:
            from aimass.ui.app import create_app

            return [{"app": create_app(), "url_prefix": PREFIX, "name": "AI Mass"}]
        except Exception:
            # Airflow's server must come up without our pages, too.
            log.exception("The pages of AI Mass are left out: they cannot be loaded")
            return []

    @property
    def fastapi_root_middlewares(self) -> list[dict[str, Any]]:  # type: ignore[override] # Airflow reads it from an instance
        """What stands before Airflow's own app."""
        try:
            from aimass.ui.airflow_app import RememberAirflow
            from aimass.ui.trigger_check import TriggerCheck
        except Exception:
            log.exception("A trigger's conf is not checked before its run: what checks it cannot be loaded")
            return []
        return [
            {"middleware": RememberAirflow, "name": "AI Mass: remember Airflow's app"},
            {"middleware": TriggerCheck, "name": "AI Mass: check a trigger's conf"},
        ]

"""What Airflow loads through the entry point `airflow.plugins`.

Every Airflow process imports this module, the API server alone evaluates the properties: the app, with FastAPI and the
database models, is imported there.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/aimass"
ICON = f"{PREFIX}/static/icon.svg"
ICON_DARK = f"{PREFIX}/static/icon-dark.svg"


class AimassPlugin(AirflowPlugin):
    """The menu entry "AI Mass", a tab on the pages of DAGs, runs and tasks, and the app behind them."""

    name = "aimass"
    external_views: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "AI Mass",
            "href": f"{PREFIX}/",
            "destination": "nav",
            "url_route": "aimass",
            "icon": ICON,
            "icon_dark_mode": ICON_DARK,
            "nav_top_level": True,
        },
        *(
            {
                "name": "AI Mass",
                "href": f"{PREFIX}/tabs/{place}",
                "destination": destination,
                "url_route": f"aimass-{destination.replace('_', '-')}",
                "icon": ICON,
                "icon_dark_mode": ICON_DARK,
            }
            for destination, place in (
                ("dag", "dag/{DAG_ID}"),
                ("dag_run", "run/{DAG_ID}/{RUN_ID}"),
                ("task_instance", "task/{DAG_ID}/{RUN_ID}/{TASK_ID}/{MAP_INDEX}"),
            )
        ),
    ]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override] # Airflow reads it from an instance
        """The app, mounted beside Airflow's own."""
        from aimass.ui.app import create_app

        return [{"app": create_app(), "url_prefix": PREFIX, "name": "AI Mass"}]

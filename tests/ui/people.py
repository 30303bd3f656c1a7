"""Who reads the pages of these tests: Airflow's simple users, one of whom may not see the DAGs of another team."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

THEIRS = "aimass_theirs"
"""A DAG that only `ADMIN` and `OWNER` may see."""

VIEWER = SimpleAuthManagerUser(username="vera", role="viewer")
"""Reads."""
USER = SimpleAuthManagerUser(username="uma", role="user")
"""Reads, triggers and answers."""
OWNER = SimpleAuthManagerUser(username="theo", role="user")
ADMIN = SimpleAuthManagerUser(username="ada", role="admin")


class TeamAuthManager(SimpleAuthManager):
    """Airflow's simple auth manager with permissions by DAG, as FAB and multi-team have them."""

    def is_authorized_dag(self, *, user: SimpleAuthManagerUser, details: Any = None, **kwargs: Any) -> bool:
        if details is not None and details.id == THEIRS and user.username not in (OWNER.username, ADMIN.username):
            return False
        return super().is_authorized_dag(user=user, details=details, **kwargs)

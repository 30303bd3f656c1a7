"""Who reads a page: Airflow's user, with Airflow's permission on the DAG that the page tells about.

No ``from __future__ import annotations`` here and in `routes`: FastAPI takes a dependency that it cannot resolve for a
query parameter, and the page would be open to everybody.
"""

from typing import Annotated
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException, Request

Reader = Annotated[BaseUser, Depends(get_user)]
"""The logged-in user; 401 where there is none."""

ReadableDag = Depends(requires_access_dag(method="GET"))
"""Guard of a route with `dag_id` in its path: 401 for nobody, 403 for who may not read that DAG."""


def readable_dags(user: BaseUser) -> set[str]:
    """Return the ids of the DAGs that `user` may read."""
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")


def may_read(user: BaseUser, dag_id: str) -> bool:
    """Return whether `user` may read the DAG."""
    return _is_authorized(user, dag_id, "GET", None)


def may_trigger(user: BaseUser, dag_id: str) -> bool:
    """Return whether `user` may start a run of the DAG."""
    return _is_authorized(user, dag_id, "POST", DagAccessEntity.RUN)


def may_answer(user: BaseUser, dag_id: str) -> bool:
    """Return whether `user` may answer a request for approval of the DAG that is assigned to nobody."""
    return _is_authorized(user, dag_id, "PUT", DagAccessEntity.HITL_DETAIL)


def refuse_unreadable(user: BaseUser, dag_id: str) -> None:
    """Raise 403 unless `user` may read the DAG; for routes that learn its id only on the way."""
    if not may_read(user, dag_id):
        raise HTTPException(403, "Forbidden")


def same_origin(request: Request) -> None:
    """Raise 403 for a form that another site sent; the session's cookie alone would not tell."""
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc not in (request.url.netloc, request.headers.get("x-forwarded-host")):
        raise HTTPException(403, "Forbidden")


def _is_authorized(user: BaseUser, dag_id: str, method: str, entity: DagAccessEntity | None) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return get_auth_manager().is_authorized_dag(
        method=method,  # type: ignore[arg-type] # a literal of Airflow's
        access_entity=entity,
        details=details,
        user=user,
    )

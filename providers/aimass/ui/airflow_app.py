"""Airflow's own REST API, asked from inside its server: a run that we start passes every check that others pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import httpx
from fastapi import HTTPException, Request

from aimass.links.pages import PREFIX
from aimass.ui.pages import links_of

AIRFLOW_APP = "aimass.airflow_app"
CREDENTIALS = ("authorization", "cookie")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class RememberAirflow:
    """Root middleware: keeps Airflow's app in the scope, for below our prefix Starlette puts our own app there."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            scope[AIRFLOW_APP] = scope["app"]
        await self._app(scope, receive, send)


async def trigger(request: Request, dag_id: str, conf: Mapping[str, Any]) -> str:
    """Start a run of `dag_id` as the reader who sent `request`; return the run's id.

    Raises
    ------
    HTTPException
        What Airflow answered: the reader may not, the DAG is gone, or the parameters are wrong.
    """
    headers = {name: request.headers[name] for name in CREDENTIALS if name in request.headers}
    transport = httpx.ASGITransport(app=request.scope[AIRFLOW_APP])
    base = f"{request.url.scheme}://{request.url.netloc}{links_of(request).root}"
    async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
        # With a referrer the run counts as started from the pages.
        answer = await client.post(
            f"/api/v2/dags/{dag_id}/dagRuns",
            json={"logical_date": None, "conf": dict(conf)},
            headers={"referer": f"{base}{PREFIX}/new"},
        )
    if answer.is_error:
        raise HTTPException(answer.status_code, _told(answer))
    return str(answer.json()["dag_run_id"])


def _told(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return f"Airflow answered {answer.status_code}"
    if isinstance(detail, list):
        return "; ".join(str(item.get("msg", item)) if isinstance(item, dict) else str(item) for item in detail)
    return str(detail)

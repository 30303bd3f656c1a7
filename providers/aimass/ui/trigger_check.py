"""Say what is wrong with a trigger's conf before there is a run: in Airflow's trigger dialogue, and over REST.

Airflow checks each parameter's own schema; it cannot know that a file has no such column. Root middleware, asked before
every request: whatever it does not know for certain goes on to Airflow untouched.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse
from sqlalchemy import select

from aimass.hooks.allow import AllowList
from aimass.operators.forms import FORMS
from aimass.pipelines.forms import form_of_dag
from aimass.pipelines.forms.check import Mistake, check_trigger
from aimass.pipelines.generate import pipelines_dir
from aimass.pipelines.model import DAG_PREFIX
from aimass.ui.security import may_trigger
from aimass.ui.surroundings import deps_for

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Check = Callable[[Request, str, dict[str, Any]], Awaitable[list[Mistake]]]

log = logging.getLogger(__name__)
TRIGGER = re.compile(rf"/api/v2/dags/({DAG_PREFIX}[^/]+)/dagRuns")
MAX_BODY_BYTES = 1 << 20
"""A conf is a few hundred bytes; what is longer than this is not ours to judge."""
PATIENCE_S = 20.0
_LIMITER = anyio.CapacityLimiter(2)
"""So many checks at once: each may read a file."""


class TriggerCheck:
    """Answers 422 where a conf is wrong; hands everything else on.

    Parameters
    ----------
    app : ASGI application
        What stands behind.
    check : callable, optional
        ``await check(request, dag_id, conf)`` returns the mistakes; none where it cannot or may not tell.
    """

    def __init__(self, app: App, check: Check | None = None) -> None:
        self._app = app
        self._check = check or _mistakes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        dag_id = _triggered(scope)
        if dag_id is None:
            await self._app(scope, receive, send)
            return
        messages = await _read(receive)
        found: list[Mistake] = []
        try:
            conf = _conf(messages)
            if conf is not None:
                found = await self._check(Request(scope), dag_id, conf)
        except Exception:
            # Whatever goes wrong here, the run's first task checks again.
            log.exception("The conf for %s could not be checked before its run", dag_id)
        if found:
            await _refusal(dag_id, found)(scope, receive, send)
        else:
            await self._app(scope, _replay(messages, receive), send)


def _triggered(scope: Scope) -> str | None:
    """Return the DAG of ours that the request wants a run of, or None."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
    found = TRIGGER.fullmatch(path)
    return found[1] if found else None


async def _read(receive: Receive) -> list[Any]:
    """Return the messages of the body, to its end or to the limit."""
    messages: list[Any] = []
    size = 0
    while size <= MAX_BODY_BYTES:
        messages.append(await receive())
        size += len(messages[-1].get("body", b""))
        if not messages[-1].get("more_body", False):
            break
    return messages


def _replay(messages: list[Any], receive: Receive) -> Receive:
    """Return a receiver of `messages`, and of what comes after them."""
    left = iter(messages)

    async def again() -> Any:
        for message in left:
            return message
        return await receive()

    return again


def _conf(messages: list[Any]) -> dict[str, Any] | None:
    """Return the conf in the body; None where Airflow has to say what is wrong with the body itself."""
    text = b"".join(message.get("body", b"") for message in messages)
    if messages[-1]["type"] != "http.request" or len(text) > MAX_BODY_BYTES:
        return None
    try:
        body = json.loads(text)
    except ValueError:
        return None
    conf = (body.get("conf") or {}) if isinstance(body, dict) else None
    return conf if isinstance(conf, dict) else None


def _refusal(dag_id: str, mistakes: list[Mistake]) -> JSONResponse:
    """Return the answer as Airflow's pages show it: one text, a line for each mistake; and the same as data."""
    titles = _titles(dag_id)
    lines = [f"{titles.get(one.field, one.field)}: {one.text}" if one.field else one.text for one in mistakes]
    content = {"detail": "\n".join(lines), "mistakes": [one._asdict() for one in mistakes]}
    return JSONResponse(content, status_code=422)


def _titles(dag_id: str) -> Mapping[str, str]:
    form = form_of_dag(dag_id)
    model: Any = FORMS.load(form) if form else None
    return {name: info.title for name, info in model.model_fields.items() if info.title} if model else {}


async def _mistakes(request: Request, dag_id: str, conf: dict[str, Any]) -> list[Mistake]:
    """Return what is wrong with `conf`, for a user who may trigger the DAG, in a thread and in bounded time."""
    try:
        user = await get_user(request, None, await bearer_scheme(request))
    except HTTPException:
        return []
    with anyio.move_on_after(PATIENCE_S):
        check = partial(_check, user, dag_id, conf)
        return await anyio.to_thread.run_sync(check, abandon_on_cancel=True, limiter=_LIMITER)
    log.warning("The conf for %s was not checked before its run: that takes longer than %g s", dag_id, PATIENCE_S)
    return []


def _dag_file(dag_id: str) -> Path | None:
    """Return where the DAG was read from; None where there is no such DAG, which Airflow will say."""
    with create_session() as session:
        found = session.scalar(select(DagModel.fileloc).where(DagModel.dag_id == dag_id, ~DagModel.is_stale))
    return Path(found) if found else None


def _check(user: Any, dag_id: str, conf: dict[str, Any]) -> list[Mistake]:
    file = _dag_file(dag_id)
    if file is None or not may_trigger(user, dag_id):
        return []
    runtime = deps_for(user.get_name()).runtime
    return check_trigger(dag_id, conf, folder=pipelines_dir(file), runtime=runtime, allow=AllowList.from_options())

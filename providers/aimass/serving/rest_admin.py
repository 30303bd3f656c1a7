"""``/aimass/…``: what operators, pages and people ask the server itself; handed to the supervisor.

Bodies and answers are the documents of `aimass.core.endpoints`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from aimass.serving.engine import Engine
from aimass.serving.errors import InvalidRowsError, MalformedError
from aimass.serving.rest_request import Request, Response

T = TypeVar("T")


class ShadowBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a shadow check is asked with."""

    rows: int = 200


class LabelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One late label."""

    request_id: str
    label: str | int | float | bool
    row: int = 0


class LabelsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Late labels."""

    labels: list[LabelBody]


async def status(engine: Engine, request: Request) -> Response:
    """Say what the server serves."""
    return await _call(engine, "status", {})


async def samples(engine: Engine, request: Request) -> Response:
    """Return what was measured after ``?since=``, a time in ISO 8601."""
    since = request.query("since").get("since")
    if since is not None:
        try:
            moment = datetime.fromisoformat(since)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise MalformedError(
                f"since is {since[:40]!r}", expected="a time with its offset, such as 2026-01-31T12:00:00+00:00"
            )
    return await _call(engine, "samples", {"since": since})


async def sync(engine: Engine, request: Request) -> Response:
    """Have the server look at the registry now."""
    await request.body()
    return await _call(engine, "sync", {})


async def move(engine: Engine, request: Request, version: str, method: str) -> Response:
    """Load or unload a version."""
    await request.body()
    return await _call(engine, method, {"model": request.model, "version": version})


async def shadow(engine: Engine, request: Request, version: str) -> Response:
    """Try a version on recent requests."""
    body = await _body(request, ShadowBody)
    if not 1 <= body.rows <= 100_000:
        raise InvalidRowsError(f"rows is {body.rows}", expected="1 to 100000")
    return await _call(engine, "shadow", {"model": request.model, "version": version, "rows": body.rows})


async def labels(engine: Engine, request: Request) -> Response:
    """Take labels that came late."""
    body = await _body(request, LabelsBody)
    if any(each.row < 0 for each in body.labels):
        raise InvalidRowsError("A label's row is negative", expected="the row's place in its request, from 0")
    given: list[dict[str, Any]] = msgspec.to_builtins(body.labels)
    return await _call(engine, "labels", {"model": request.model, "labels": given})


async def _call(engine: Engine, method: str, params: Mapping[str, Any]) -> Response:
    return Response.of(await engine.context.control.call(method, params))


async def _body(request: Request, kind: type[T]) -> T:
    request.check_json()
    data = await request.body()
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(f"The body does not fit: {error}") from None

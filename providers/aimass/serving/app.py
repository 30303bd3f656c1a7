"""The REST side of a worker: an ASGI application routed by hand, since its hot path counts microseconds."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import Literal, NamedTuple

from aimass.serving import openapi, rest_admin, rest_v2
from aimass.serving.engine import Engine
from aimass.serving.errors import ErrorAnswer, MethodNotAllowedError, RouteNotFoundError, answer_of
from aimass.serving.logs import ERRORS_PER_SECOND, Throttle
from aimass.serving.metrics import CONTENT_TYPE
from aimass.serving.rest_predict import predict, predict_at_once
from aimass.serving.rest_request import (
    LATER,
    DisconnectedError,
    Headers,
    Later,
    Receive,
    Request,
    Response,
    Scope,
    Send,
)
from aimass.serving.security import Tokens

log = logging.getLogger(__name__)

Access = Literal["open", "model", "server"]
"""Who may: everybody; whose token is for the model; whose token is for all models."""


class Route(NamedTuple):
    """What answers an address."""

    handler: Callable[[Engine, Request], Awaitable[Response]]
    methods: tuple[str, ...] = ("GET", "HEAD")
    model: str = ""
    access: Access = "server"
    at_once: Callable[[Engine, Request, bytes, Later | None], Response | None] | None = None
    """Answers a request without waiting; returns LATER where it will in a moment, and None where `handler` has to."""


async def metrics(engine: Engine, request: Request) -> Response:
    """Return the metrics of all workers, this one's up to now."""
    engine.flush()
    text = await asyncio.get_running_loop().run_in_executor(None, engine.metrics.text)
    return Response(text, kind=CONTENT_TYPE.encode())


async def openapi_document(engine: Engine, request: Request) -> Response:
    """Return the OpenAPI document of the models in memory."""
    return Response.of(openapi.document(engine.context.table))


async def docs(engine: Engine, request: Request) -> Response:
    """Return a page for people."""
    return Response(openapi.page(engine.context.table).encode(), kind=b"text/html; charset=utf-8")


_FIXED = {
    "/v2": Route(rest_v2.server_metadata, access="open"),
    "/v2/health/live": Route(rest_v2.live, access="open"),
    "/v2/health/ready": Route(rest_v2.ready, access="open"),
    "/v2/repository/index": Route(rest_v2.index, ("GET", "HEAD", "POST")),
    "/metrics": Route(metrics),
    "/openapi.json": Route(openapi_document),
    "/docs": Route(docs),
    "/aimass/status": Route(rest_admin.status),
    "/aimass/samples": Route(rest_admin.samples),
    "/aimass/sync": Route(rest_admin.sync, ("POST",)),
}
_POST = ("POST",)


@lru_cache(maxsize=4096)
def route(path: str) -> Route:
    """Return what answers `path`; raises RouteNotFoundError where nothing does."""
    found = _FIXED.get(path) or _of_model(path.split("/")[1:])
    if found is None:
        raise RouteNotFoundError(
            f"Nothing answers {path[:128]!r}",
            known=["/predict/<model>", "/v2/models/<model>[/versions/<version>][/infer|/ready]", *_FIXED],
        )
    return found


def _of_model(parts: list[str]) -> Route | None:
    match parts:
        case ["predict", str(model)] if model:
            return Route(predict, _POST, model, "model", predict_at_once)
        case ["v2", "models", str(model), *rest] if model:
            return _of_protocol(model, rest)
        case ["aimass", "models", str(model), "labels"] if model:
            return Route(rest_admin.labels, _POST, model, "model")
        case ["aimass", "models", str(model), "versions", str(version), "load" | "unload" as verb]:
            return Route(partial(rest_admin.move, version=version, method=verb), _POST, model)
        case ["aimass", "models", str(model), "versions", str(version), "shadow"]:
            return Route(partial(rest_admin.shadow, version=version), _POST, model)
    return None


def _of_protocol(model: str, rest: list[str]) -> Route | None:
    version = None
    if len(rest) > 1 and rest[0] == "versions" and rest[1]:
        version, rest = rest[1], rest[2:]
    match rest:
        case []:
            return Route(partial(rest_v2.model_metadata, version=version), model=model, access="model")
        case ["ready"]:
            return Route(partial(rest_v2.model_ready, version=version), model=model, access="model")
        case ["infer"]:
            return Route(partial(rest_v2.infer, version=version), _POST, model, "model")
    return None


class App:
    """The ASGI application.

    Parameters
    ----------
    engine : Engine
        Answers.
    tokens : Tokens
        Who may ask.
    """

    def __init__(self, engine: Engine, tokens: Tokens) -> None:
        self._engine = engine
        self._tokens = tokens
        self._limit = engine.context.config.body_limit
        self._access_log = engine.context.config.access_log
        self._throttle = Throttle(ERRORS_PER_SECOND)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; nothing is raised."""
        if scope["type"] != "http":
            return
        request = Request(scope["method"], scope["path"], scope["query_string"], scope["headers"], receive, self._limit)
        try:
            found = route(request.path)
            request.model = found.model
            self._admit(request, found)
            response = await found.handler(self._engine, request)
        except DisconnectedError:
            return
        except Exception as error:  # noqa: BLE001 - whatever happens, the caller gets the documented body
            response = self._refuse(request, error)
        if self._access_log and random.random() < self._access_log:
            self._note(request, response.status)
        await response.send(send, request.id, head_only=request.method == "HEAD")

    def at_once(self, request: Request, body: bytes, later: Callable[[bytes], None] | None) -> bytes | None:
        """Return the whole answer to a request where that takes no waiting; see `protocol.Application`."""
        if self._access_log or len(body) > self._limit:
            return None
        try:
            found = route(request.path)
            if found.at_once is None:
                return None
            request.model = found.model
            self._admit(request, found)
            finish = None if later is None else partial(self._finish, request, later)
            response = found.at_once(self._engine, request, body, finish)
        except Exception as error:  # noqa: BLE001 - as above
            response = self._refuse(request, error)
        if response is None:
            return None
        return b"" if response is LATER else response.wire(request.id)

    def _finish(self, request: Request, later: Callable[[bytes], None], outcome: Response | Exception) -> None:
        response = self._refuse(request, outcome) if isinstance(outcome, Exception) else outcome
        later(response.wire(request.id))

    def sent(self) -> None:
        """Do what can wait until an answer at once is on its way."""
        self._engine.count()

    def _admit(self, request: Request, found: Route) -> None:
        if request.method not in found.methods:
            raise MethodNotAllowedError(f"{request.path[:128]} does not take {request.method}", known=found.methods)
        if self._tokens.are_wanted and found.access != "open":
            model = found.model if found.access == "model" else None
            request.token = self._tokens.check(request.text(b"authorization"), model).name

    def _refuse(self, request: Request, error: Exception) -> Response:
        answer = answer_of(error)
        self._engine.failed(request.model, answer.code, "rest")
        if self._throttle.admits():
            self._note(request, answer.status, answer, error if answer.code == "internal" else None)
        document = {"error": answer.message, "code": answer.code, "request_id": request.id}
        return Response.of(document, answer.status, _headers(answer, error))

    def _note(
        self, request: Request, status: int, answer: ErrorAnswer | None = None, error: Exception | None = None
    ) -> None:
        extra = {
            "method": request.method,
            "path": request.path[:256],
            "status": status,
            "request_id": request.id,
            "token": request.token,
            "took_ms": round((time.perf_counter() - request.started) * 1e3, 3),
        }
        if answer is not None:
            extra |= {"code": answer.code, "error": answer.message, "left_out": self._throttle.take_left_out()}
        level = logging.ERROR if error else logging.WARNING if status >= 500 else logging.INFO
        log.log(level, "refused" if answer else "answered", extra=extra, exc_info=error)


def _headers(answer: ErrorAnswer, error: Exception) -> Headers:
    headers: Headers = []
    if answer.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(answer.retry_after_s))))
    if answer.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, MethodNotAllowedError):
        headers.append((b"allow", ", ".join(error.known or []).encode()))
    return headers

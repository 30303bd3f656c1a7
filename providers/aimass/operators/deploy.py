"""The operators that put a version into use, and wait until every server answers with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field

from aimass.core.errors import AimassError, NotFoundError
from aimass.hooks.serving import conn_ids
from aimass.operators.failures import StageRetryError, translated_failures
from aimass.operators.request import Alias, RequestOperator, ServedModelRequest
from aimass.operators.waiting import defer_until, outcome
from aimass.triggers.condition import DEFAULT_POLL_S, look_once
from aimass.triggers.served import Served

if TYPE_CHECKING:
    from airflow.sdk import Context

    from aimass.core.release.promotion import Promotion


class AliasRequest(ServedModelRequest):
    """A request to move an alias."""

    alias: Alias = Field(
        default="champion",
        title="Alias",
        description="The alias that moves; servers answer with champion unless asked otherwise.",
        json_schema_extra={"section": "Model"},
    )
    why: str = Field(
        default="",
        max_length=500,
        title="Why",
        description="The reason, for the ledger.",
        json_schema_extra={"section": "Model"},
    )


R = TypeVar("R", bound=AliasRequest)


class AliasOperator(RequestOperator[R]):
    """Move an alias in the registry, and wait in the triggerer until every server answers with it.

    Parameters
    ----------
    wait : bool
        Whether to wait for the servers; they follow the registry in any case.
    timeout_s, poll_s : float
        For how long, and how often they are asked.
    **kwargs
        See `RequestOperator`.

    Returns
    -------
    dict
        ``model``, ``alias``, ``version``, ``before`` (the version that the alias left, or null) and ``why``.
    """

    def __init__(
        self, *, wait: bool = True, timeout_s: float = 300, poll_s: float = DEFAULT_POLL_S, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.wait = wait
        self.timeout_s = timeout_s
        self.poll_s = poll_s

    def execute(self, context: Context) -> Any:
        """Move the alias, and wait for the servers."""
        result = super().execute(context)
        if self.wait:
            with translated_failures():
                self._await(self.read(context), result)
        return result

    def execute_complete(self, context: Context, event: Mapping[str, Any], result: Any) -> Any:
        """Return what was done, now that every server answers with it."""
        # The alias has moved and servers follow it: another attempt does nothing twice, and may find them there.
        outcome(event, late=StageRetryError)
        return result

    def served(self, request: R, result: Mapping[str, Any]) -> Served:
        """Return what every server must serve now."""
        return Served(
            serving_conn_ids=conn_ids(request.endpoint),
            model=request.model,
            alias=request.alias,
            version=result["version"],
        )

    def _await(self, request: R, result: Mapping[str, Any]) -> None:
        for name, server in self.servers(request).items():
            try:
                server.sync()
            except AimassError as error:
                # It looks by itself every few seconds, too.
                self.log.info("%s was not told to look at the registry: %s", name, error)
        condition = self.served(request, result)
        seen = look_once(condition)
        self.log.info("%s", seen.told)
        if not seen.met:
            defer_until(self, "served", condition, timeout_s=self.timeout_s, poll_s=self.poll_s, result=result)


class DeployRequest(AliasRequest):
    """Have servers answer with a version."""

    version: str | None = Field(
        default=None,
        title="Version",
        description="Number of the version that the alias is to point at; as it stands when empty.",
        json_schema_extra={"section": "Model"},
    )
    challenger_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        title="Challenger's share",
        description="Share of the requests that the challenger answers; 0 takes it away, as it stands when empty.",
        json_schema_extra={"section": "Model"},
    )


class DeployOperator(AliasOperator[DeployRequest]):
    """Point an alias at a version, or share the traffic, and wait until every server does so.

    Parameters
    ----------
    **kwargs
        See `AliasOperator`; the request is a `DeployRequest`.

    Examples
    --------
    A tenth of the requests for the challenger::

        DeployOperator(task_id="canary", request={"model": "flights_late", "challenger_share": 0.1})
    """

    Request = DeployRequest

    def act(self, request: DeployRequest, context: Context) -> dict[str, Any]:
        """Move the alias, and set the traffic."""
        from aimass.core.release.base import TRAFFIC_TAG
        from aimass.core.release.promotion import CHALLENGER, point

        deps = self.deps(request, context)
        registry = self.open_registry(deps)
        told: dict[str, Any] = {}
        if request.challenger_share is not None:
            traffic = shares(request.challenger_share, request.alias, CHALLENGER)
            registry.set_model_tags(request.model, {TRAFFIC_TAG: traffic})
            challenger = registry.aliased(request.model, CHALLENGER)
            told = {"challenger": challenger.version if challenger is not None else None}
        standing = registry.aliased(request.model, request.alias)
        if request.version is None:
            if standing is None:
                raise NotFoundError(
                    f"The model {request.model!r} has no {request.alias}", hint="Name the version that it is to be"
                )
            return {**told, "model": request.model, "alias": request.alias, "version": standing.version, "before": None}
        version = registry.version(request.model, request.version)
        if version is None:
            known = [each.version for each in registry.versions(request.model)]
            raise NotFoundError(f"The model {request.model!r} has no version {request.version}", known=known)
        return {**told, **moved(point(registry, deps, version, alias=request.alias, why=request.why or "deployed"))}


def shares(share: float, alias: str, challenger: str) -> str | None:
    """Return the tag that gives `challenger` its share of the requests; None takes the tag away."""
    return json.dumps({alias: round(1 - share, 6), challenger: share}) if share > 0 else None


def moved(done: Promotion) -> dict[str, Any]:
    """Return what a task tells of an alias that moved."""
    return {
        "model": done.version.name,
        "alias": done.move.alias,
        "version": done.version.version,
        "before": done.move.old_version,
        "why": done.move.why,
    }

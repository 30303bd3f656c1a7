"""The operators that take a version out of use: deprecate, drain, archive, unload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aimass.core.errors import UnreachableError
from aimass.hooks.serving import conn_ids
from aimass.operators.failures import translated_failures
from aimass.operators.request import RequestOperator, ServedModelRequest
from aimass.operators.waiting import defer_until, outcome
from aimass.triggers.condition import look_once
from aimass.triggers.unused import Unused

if TYPE_CHECKING:
    from airflow.sdk import Context

    from aimass.core.deps import Deps
    from aimass.core.release.base import ModelRegistry

Step = Literal["deprecate", "drain", "archive", "unload"]
STEPS: tuple[Step, ...] = ("deprecate", "drain", "archive", "unload")
POLL_S = 30.0


class RetireRequest(ServedModelRequest):
    """Take a version out of use."""

    version: str = Field(
        min_length=1,
        title="Version",
        description="Number of the version.",
        json_schema_extra={"section": "Model"},
    )
    why: str = Field(
        min_length=1,
        max_length=500,
        title="Why",
        description="The reason, kept with the version.",
        json_schema_extra={"section": "Model"},
    )
    grace_minutes: float = Field(
        default=60,
        ge=0,
        title="Grace in minutes",
        description="It goes once nobody has asked for it for so long.",
        json_schema_extra={"section": "Retirement"},
    )
    wait_hours: float = Field(
        default=168,
        gt=0,
        le=8784,
        title="Longest wait in hours",
        description="For how long that is waited for; then the retirement fails, and says who still asks.",
        json_schema_extra={"section": "Retirement"},
    )
    force: bool = Field(
        default=False,
        title="Take its aliases away",
        description="Retire it although aliases point at it: whoever asks for these is refused from then on.",
        json_schema_extra={"section": "Retirement"},
    )


class RetireOperator(RequestOperator[RetireRequest]):
    """Deprecate a version, wait in the triggerer until nobody asks for it, archive it, take it out of memory.

    Each step may be repeated, and none goes back.

    Parameters
    ----------
    steps : sequence of str
        Those of ``deprecate``, ``drain``, ``archive`` and ``unload`` that this task does, in this order; all of them
        unless a DAG has a task for each.
    poll_s : float
        How often the servers are asked whether somebody still uses it.
    **kwargs
        See `RequestOperator`; the request is a `RetireRequest`.

    Returns
    -------
    dict
        What each step found: ``deprecate`` and ``drain`` who used the version, ``archive`` its state.

    Examples
    --------
    ::

        RetireOperator(task_id="retire", request={"model": "flights_late", "version": "3", "why": "superseded"})
    """

    Request = RetireRequest

    def __init__(self, *, steps: Sequence[Step] = STEPS, poll_s: float = POLL_S, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps = steps
        self.poll_s = poll_s

    def act(self, request: RetireRequest, context: Context) -> dict[str, Any]:
        """Take the steps."""
        return self._take(self.steps, request, context)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Take the steps that come after the waiting."""
        used = outcome(event)
        with translated_failures(), self.told_failure(context):
            left = self.steps[list(self.steps).index("drain") + 1 :]
            return {"drain": used, **self._take(left, self.read(context), context)}

    def _take(self, steps: Sequence[Step], request: RetireRequest, context: Context) -> dict[str, Any]:
        deps = self.deps(request, context)
        registry = self.open_registry(deps)
        done: dict[str, Any] = {}
        for step in steps:
            done[step] = getattr(self, f"_{step}")(request, registry, deps)
            deps.failpoints.hit(f"after_{step}")
        return done

    def _deprecate(self, request: RetireRequest, registry: ModelRegistry, deps: Deps) -> dict[str, Any]:
        from aimass.core.release.retirement import deprecate, usage

        used = usage(registry, deps, self.servers(request), request.model, request.version)
        for line in used.lines():
            self.log.info("%s", line)
        deprecate(registry, deps, request.model, request.version, why=request.why, force=request.force)
        return used.model_dump(mode="json")

    def _drain(self, request: RetireRequest, registry: ModelRegistry, deps: Deps) -> Any:
        from aimass.core.release.retirement import drain

        drain(registry, request.model, request.version)
        condition = Unused(
            model=request.model,
            version=request.version,
            grace_minutes=request.grace_minutes,
            serving_conn_ids=conn_ids(request.endpoint),
            store_conn_id=self.store_conn_id,
            tracking_conn_id=self.tracking_conn_id,
            registry=dict(self.registry),
        )
        seen = look_once(condition)
        self.log.info("%s", seen.told)
        if not seen.met:
            defer_until(self, "unused", condition, timeout_s=request.wait_hours * 3600, poll_s=self.poll_s)
        return seen.value

    def _archive(self, request: RetireRequest, registry: ModelRegistry, deps: Deps) -> str:
        from aimass.core.release.retirement import archive

        return archive(registry, request.model, request.version)

    def _unload(self, request: RetireRequest, registry: ModelRegistry, deps: Deps) -> None:
        from aimass.core.release.retirement import unload

        if failed := unload(self.servers(request), request.model, request.version):
            told = "; ".join(f"{name}: {why}" for name, why in failed.items())
            raise UnreachableError(f"Version {request.version} of {request.model!r} is still in memory: {told}")

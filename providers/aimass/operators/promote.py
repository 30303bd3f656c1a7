"""The operator that makes the challenger the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from aimass.operators.deploy import AliasOperator, AliasRequest, moved

if TYPE_CHECKING:
    from airflow.sdk import Context


class PromoteRequest(AliasRequest):
    """Put the challenger into use."""

    metric: str = Field(
        default="auc",
        title="Metric",
        description="The metric on the test part that decides.",
        json_schema_extra={"section": "Gate"},
    )
    max_drop: float = Field(
        default=0.0,
        ge=0,
        title="Greatest loss",
        description="How much worse than the standing version it may be, in units of the metric.",
        json_schema_extra={"section": "Gate"},
    )


class PromoteOperator(AliasOperator[PromoteRequest]):
    """Point an alias at the challenger, once more through the gate, and wait until every server answers with it.

    Parameters
    ----------
    **kwargs
        See `AliasOperator`; the request is a `PromoteRequest`.

    Examples
    --------
    ::

        PromoteOperator(task_id="promote", request={"model": "flights_late", "why": "better for a week"})
    """

    Request = PromoteRequest

    def act(self, request: PromoteRequest, context: Context) -> dict[str, Any]:
        """Move the alias."""
        from aimass.core.release.gate import GateSettings
        from aimass.core.release.promotion import promote_challenger

        deps = self.deps(request, context)
        gate = GateSettings(metric=request.metric, max_drop=request.max_drop)
        done = promote_challenger(
            self.open_registry(deps), deps, request.model, gate, alias=request.alias, why=request.why or "promoted"
        )
        return moved(done)

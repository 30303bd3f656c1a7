"""The operator that says which pipeline makes a challenger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from aimass.core.errors import UnknownNameError
from aimass.operators.compare import CompareRequest
from aimass.operators.request import RequestOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

DAG_PREFIX = "aimass_"


class ImproveRequest(CompareRequest):
    """Train anew, and let the result challenge the version in use."""

    pipeline: str | None = Field(
        default=None,
        title="Pipeline",
        description="Name of the pipeline that trains; the one that releases the model when empty.",
        json_schema_extra={"section": "Model"},
    )


class ImproveOperator(RequestOperator[ImproveRequest]):
    """Find the DAG that trains a challenger, and what it is to be told.

    Parameters
    ----------
    pipelines : sequence of str
        The pipelines that may be run: those that release a model.
    **kwargs
        See `RequestOperator`; the request is an `ImproveRequest`.

    Returns
    -------
    dict
        ``dag_id`` and ``conf`` of the run that trains.
    """

    Request = ImproveRequest

    def __init__(self, *, pipelines: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pipelines = pipelines

    def act(self, request: ImproveRequest, context: Context) -> dict[str, Any]:
        """Return the run."""
        from aimass.core.release.promotion import CHALLENGER

        name = (request.pipeline or self.deps(request, context).project).removeprefix(DAG_PREFIX)
        if name not in self.pipelines:
            # Whoever may ask for a better model may not start any DAG there is.
            raise UnknownNameError("pipeline that releases a model", name, self.pipelines)
        return {"dag_id": DAG_PREFIX + name, "conf": {"alias": CHALLENGER}}

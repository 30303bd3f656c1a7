"""The operator that asks servers for what they measured."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from aimass.core.errors import AimassError, NotFoundError
from aimass.operators.request import RequestOperator, ServedModelRequest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from aimass.core.deps import Deps
    from aimass.core.endpoints.status import MetricSample

LOOK_BACK = timedelta(minutes=10)
"""Each asking looks back beyond the last one: a server that was down for a moment has something left to tell."""


class ScrapeOperator(RequestOperator[ServedModelRequest]):
    """Ask every server for its samples, and keep them as a history for rules and pages.

    A server that does not answer is part of the answer, and no failure. Skips, with all that follows, where no version
    of the model has been released yet.

    Parameters
    ----------
    **kwargs
        See `RequestOperator`; the request has ``model`` and ``endpoint``.

    Returns
    -------
    dict
        ``project`` of the model, ``uri`` of what was kept, number of ``samples``, and the servers that are ``down``,
        with their reasons.
    """

    Request = ServedModelRequest

    def act(self, request: ServedModelRequest, context: Context) -> dict[str, Any]:
        """Ask every server."""
        from aimass.core.monitoring.samples import keep_samples

        try:
            deps = self.deps(request, context)
        except NotFoundError as error:
            raise AirflowSkipException(f"There is nothing to watch yet. {error}") from None
        since = _since(deps, request.model)
        samples: list[MetricSample] = []
        down: dict[str, str] = {}
        for name, server in self.servers(request).items():
            try:
                samples += server.samples(since)
            except AimassError as error:
                self.log.warning("%s", error)
                down[name] = str(error)
        uri = keep_samples(deps.store, deps.project, request.model, samples)
        return {"project": deps.project, "uri": uri, "samples": len(samples), "down": down}


def _since(deps: Deps, model: str) -> datetime | None:
    from aimass.core.monitoring.samples import newest_sample

    newest = newest_sample(deps.store, deps.project, model)
    return newest - LOOK_BACK if newest is not None else None

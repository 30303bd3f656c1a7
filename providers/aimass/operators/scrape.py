"""The operator that asks servers for what they measured."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk.exceptions import AirflowSkipException

from aimass.core.errors import AimassError, NotFoundError
from aimass.operators.request import RequestOperator, ServedModelRequest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from aimass.core.deps import Deps
    from aimass.core.endpoints import Endpoint
    from aimass.core.endpoints.status import MetricSample

LOOK_BACK = timedelta(minutes=10)
"""Each asking looks back beyond the last one: a server that was down for a moment has something left to tell."""


class _Asked(NamedTuple):
    samples: list[MetricSample]
    down: str = ""
    behind: str = ""


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
        ``project`` of the model, ``uri`` of what was kept, number of ``samples``; of the servers, those that are
        ``up``, and with their reasons those that are ``down``, or ``behind`` what the registry asks for.
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
        asked = {name: _ask(server, request.model, since) for name, server in self.servers(request).items()}
        samples = [sample for found in asked.values() for sample in found.samples]
        for name, found in asked.items():
            self.log.info("%s: %s", name, found.down or found.behind or f"{len(found.samples)} samples")
        return {
            "project": deps.project,
            "uri": keep_samples(deps.store, deps.project, request.model, samples),
            "samples": len(samples),
            "up": [name for name, found in asked.items() if not found.down],
            "down": {name: found.down for name, found in asked.items() if found.down},
            "behind": {name: found.behind for name, found in asked.items() if found.behind},
        }


def _since(deps: Deps, model: str) -> datetime | None:
    from aimass.core.monitoring.samples import newest_sample

    newest = newest_sample(deps.store, deps.project, model)
    return newest - LOOK_BACK if newest is not None else None


def _ask(server: Endpoint, model: str, since: datetime | None) -> _Asked:
    try:
        if not server.is_ready():
            return _Asked([], down="is not ready")
        served = server.status().model(model)
        behind = "does not serve it" if served is None else served.alarm
        return _Asked(server.samples(since), behind=behind)
    except AimassError as error:
        return _Asked([], down=str(error))

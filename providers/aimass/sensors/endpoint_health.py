"""The sensor that waits for inference servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aimass.core.settings import given
from aimass.hooks.serving import ServingHook, conn_ids
from aimass.sensors.condition import ConditionSensor

if TYPE_CHECKING:
    from airflow.sdk import Context


class EndpointHealthSensor(ConditionSensor):
    """Wait until every server is ready and, where a model is named, answers with it.

    Parameters
    ----------
    serving_conn_ids : str or sequence of str
        Connections of type ``aimass_serving``. Templated.
    model, alias, version : str, optional
        What they must serve: the model at all, by that alias, with that version. Templated.
    **kwargs
        See `ConditionSensor`.

    Examples
    --------
    ::

        EndpointHealthSensor(task_id="served", model="flights_late", alias="champion", timeout=300)
    """

    condition = "served"
    template_fields: Sequence[str] = ("serving_conn_ids", "model", "alias", "version")

    def __init__(
        self,
        *,
        serving_conn_ids: str | Sequence[str] = ServingHook.default_conn_name,
        model: str | None = None,
        alias: str | None = None,
        version: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.serving_conn_ids = serving_conn_ids
        self.model = model
        self.alias = alias
        self.version = version

    def settings(self, context: Context) -> dict[str, Any]:
        """Return what must be served."""
        ids = conn_ids(self.serving_conn_ids)
        return given({"serving_conn_ids": ids, "model": self.model, "alias": self.alias, "version": self.version})

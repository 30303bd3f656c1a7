"""The sensor that waits for drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aimass.core.settings import given
from aimass.sensors.condition import ConditionSensor

if TYPE_CHECKING:
    from airflow.sdk import Context


class DriftSensor(ConditionSensor):
    """Wait until the newest window of a watched model differs from what the model was made with.

    Parameters
    ----------
    model, project : str
        The watched model, and the pipeline that releases it. Templated.
    min_columns : int
        How many columns must have drifted.
    score : bool
        Whether drifted answers alone are enough.
    version, since : str, optional
        Only windows of this version, and only those that began then or later (ISO 8601). Templated.
    store_conn_id : str
        Connection of type ``aimass_store``.
    **kwargs
        See `ConditionSensor`.

    Returns
    -------
    dict
        ``columns``, ``score``, ``model``, ``version``, ``start``, ``end`` and the ``uri`` of the monitor's
        output, which has the reports.
    """

    condition = "drift"
    template_fields: Sequence[str] = ("model", "project", "version", "since")

    def __init__(
        self,
        *,
        model: str,
        project: str = "default",
        min_columns: int = 1,
        score: bool = True,
        version: str | None = None,
        since: str | None = None,
        store_conn_id: str = "aimass_store",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.project = project
        self.min_columns = min_columns
        self.score = score
        self.version = version
        self.since = since
        self.store_conn_id = store_conn_id

    def settings(self, context: Context) -> dict[str, Any]:
        """Return which drift is waited for."""
        names = ("model", "project", "min_columns", "score", "version", "since", "store_conn_id")
        return given({name: getattr(self, name) for name in names})

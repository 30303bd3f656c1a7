"""The sensor that waits for new data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aimass.sensors.condition import ConditionSensor

if TYPE_CHECKING:
    from airflow.sdk import Context


class NewDataSensor(ConditionSensor):
    """Wait until a source has rows that the last dataset of its chain has not.

    Parameters
    ----------
    config : mapping
        The configuration of the incremental ingest that will read them; see
        `aimass.operators.ingest.IngestOperator`. Templated.
    project : str
        The pipeline whose chain it is. Templated.
    store_conn_id : str
        Connection of type ``aimass_store``.
    **kwargs
        See `ConditionSensor`.

    Returns
    -------
    dict
        ``name``, ``project``, ``chain``, ``number`` (which piece of the chain the rows will be), ``rows`` (about how
        many; null where the source cannot say) and ``position``.

    Examples
    --------
    ::

        orders = {"name": "orders", "source": {"type": "mysql", "table": "orders"}, "mode": "incremental"}
        arrived = NewDataSensor(task_id="arrived", config=orders, project="shop", timeout=3600)
        arrived >> IngestOperator(task_id="ingest", config=orders, project="shop")
    """

    condition = "new_data"
    template_fields: Sequence[str] = ("config", "project")

    def __init__(
        self,
        *,
        config: Mapping[str, Any],
        project: str = "default",
        store_conn_id: str = "aimass_store",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.project = project
        self.store_conn_id = store_conn_id

    def settings(self, context: Context) -> dict[str, Any]:
        """Return whose new data is waited for."""
        return {"config": dict(self.config), "project": self.project, "store_conn_id": self.store_conn_id}

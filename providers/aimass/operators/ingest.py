"""The operator of the stage ``ingest``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aimass.hooks.allow import AllowList
from aimass.hooks.runtime import open_store, store_of
from aimass.operators.ingest_form import check_ingest, read_ingest_form
from aimass.operators.stage import StageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class IngestOperator(StageOperator):
    """Read a source into a dataset; rows that do not fit are kept aside with reasons.

    Parameters
    ----------
    source_form : str, optional
        The type of source whose form the trigger's conf fills in: the configuration comes from it, and `config` may
        fix single fields.
    **kwargs
        See `StageOperator`. The asset's event tells the mode, the rows, the place in the chain (`link`, from 0) and
        the position.

    Examples
    --------
    All rows of some files::

        IngestOperator(
            task_id="ingest", config={"name": "flights", "source": {"type": "files", "uri": "s3://lake/flights/*.parquet"}}
        )

    Each run what is new in a table, every row exactly once::

        orders = {"type": "mysql", "conn_id": "shop", "table": "orders", "incremental": ["id"]}
        IngestOperator(task_id="orders", config={"name": "orders", "source": orders, "mode": "incremental"})
    """

    stage = "ingest"

    def __init__(self, *, source_form: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source_form = source_form

    def stage_config(self, context: Context) -> dict[str, Any]:
        """Return what is written, or what the form says."""
        if self.source_form is None:
            return super().stage_config(context)
        config = read_ingest_form(self.source_form, context["dag_run"].conf or {})
        check_ingest(config, AllowList.for_forms(), store_of(self.store_conn_id).root)
        return {**config, **self.config}

    def event(self, result: Any) -> dict[str, Any]:
        """Return what the asset's event tells: besides the usual the mode, the place in the chain and the position."""
        return {**super().event(result), **ingest_event(result, self.store_conn_id)}


def ingest_event(result: Mapping[str, Any], store_conn_id: str) -> dict[str, Any]:
    """Return what an event tells of a dataset that was read, from its manifest."""
    from aimass.core.manifest import load_manifest
    from aimass.core.sources.summary import summarize

    manifest = load_manifest(open_store(store_conn_id), result["uri"])
    return {
        "name": manifest.config["name"],
        "mode": manifest.config["mode"],
        "new_rows": result["rows"] - result.get("earlier_rows", 0),
        "rejected": result.get("rejected", 0),
        "link": result.get("link"),
        "position": summarize(manifest.position),
    }

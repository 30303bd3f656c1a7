"""The operator of the stage ``export``."""

from __future__ import annotations

from aimass.operators.stage import StageOperator


class ExportOperator(StageOperator):
    """Hand a dataset over as plain files: Parquet, CSV or JSON lines, in a folder, HDFS or an object store.

    A retry writes the same files; ``_SUCCESS`` comes last and names them all.

    Examples
    --------
    ::

        export = ExportOperator(
            task_id="export",
            config={
                "dataset": predict.output["uri"],
                "destination": {"type": "obs", "conn_id": "lake", "uri": "obs://reports/late-flights"},
                "format": "csv",
                "on_existing": "replace",
            },
        )
    """

    stage = "export"

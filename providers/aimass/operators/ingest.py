"""The operator of the stage ``ingest``."""

from __future__ import annotations

from aimass.operators.stage import StageOperator


class IngestOperator(StageOperator):
    """Read a source into a dataset; rows that do not fit are kept aside with reasons.

    Examples
    --------
    ::

        ingest = IngestOperator(
            task_id="ingest", config={"name": "flights", "source": {"type": "files", "uri": "s3://lake/flights/*.parquet"}}
        )
    """

    stage = "ingest"

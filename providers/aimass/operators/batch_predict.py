"""The operators of batch predictions: find the rows, answer them shard by shard, and sum up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator
from pydantic import Field

from aimass.core.settings import Location
from aimass.operators.request import Alias, ModelRequest, RequestOperator
from aimass.operators.stage import StageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from aimass.core.deps import Deps

PROJECT = "project"
"""XCom in which `BatchInputOperator` tells whose model it is."""


class BatchRequest(ModelRequest):
    """Have a released model answer the rows of a table, the way a server would."""

    alias: Alias = Field(
        default="champion",
        title="Alias",
        description="The alias whose version answers.",
        json_schema_extra={"section": "Model"},
    )
    version: str | None = Field(
        default=None,
        title="Version",
        description="This version instead.",
        json_schema_extra={"section": "Model"},
    )
    input: Location = Field(
        min_length=1,
        title="Rows",
        description="Address of a published dataset, or of files: CSV, JSON lines, Parquet or ORC.",
        json_schema_extra={"section": "Rows"},
    )
    columns: list[str] = Field(
        default=[],
        title="Columns to repeat",
        description="Columns that stand beside the answers, one a line; those that identify a row when empty.",
        json_schema_extra={"section": "Rows"},
    )
    shards: int = Field(
        default=1,
        ge=1,
        le=1000,
        title="Shards",
        description="Into how many tasks the rows are shared.",
        json_schema_extra={"section": "Rows"},
    )


class BatchInputOperator(RequestOperator[BatchRequest]):
    """Find the rows of a batch prediction, reading files into a dataset first, and deal them to shards.

    Parameters
    ----------
    **kwargs
        See `RequestOperator`; the request is a `BatchRequest`.

    Returns
    -------
    list of dict
        The configuration of each shard, to be mapped over `BatchPredictOperator`.
    """

    Request = BatchRequest

    def act(self, request: BatchRequest, context: Context) -> list[dict[str, Any]]:
        """Return the shards."""
        deps = self.deps(request, context)
        context["ti"].xcom_push(key=PROJECT, value=deps.project)
        shared = {
            "dataset": _dataset(request.input, deps),
            "model": request.model,
            "alias": request.alias,
            "version": request.version,
            "columns": request.columns or None,
            "shards": request.shards,
            "registry": dict(self.registry),
        }
        return [{**shared, "shard": shard} for shard in range(request.shards)]


def _dataset(address: str, deps: Deps) -> str:
    """Return the dataset at `address`, or the one that the files there become."""
    from aimass.core.manifest import find_manifest
    from aimass.core.stages import STAGES
    from aimass.core.storage import as_uri

    folder = as_uri(address).rstrip("/")
    if folder.startswith(f"{deps.store.root.rstrip('/')}/") and find_manifest(deps.store, folder) is not None:
        return folder
    ingest = STAGES.load("ingest")
    config = ingest.parse({"name": "batch", "source": {"type": "files", "uri": address}})
    uri: str = ingest.run(config, deps).uri
    return uri


class BatchPredictOperator(StageOperator):
    """Answer one shard of a batch of rows: the very answers that a server gives.

    Parameters
    ----------
    **kwargs
        See `StageOperator`.

    Examples
    --------
    ::

        rows = BatchInputOperator(task_id="rows", request={"model": "flights_late", "input": "s3://lake/april/*.parquet"})
        BatchPredictOperator.partial(task_id="predict").expand(config=rows.output)
    """

    stage = "predict"


class BatchSummaryOperator(BaseOperator):
    """Sum up what the shards of a batch prediction answered.

    Parameters
    ----------
    shards : sequence of mapping
        What the shards returned. Templated.

    Returns
    -------
    dict
        ``uris`` of the datasets with the answers, in order, ``rows``, ``positive``, ``unanswered``, ``model`` and
        ``version``.
    """

    template_fields: Sequence[str] = ("shards",)
    totals: ClassVar[tuple[str, ...]] = ("rows", "positive", "unanswered")

    def __init__(self, *, shards: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shards = shards

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the summary."""
        shards = list(self.shards)
        return {
            "uris": [shard["uri"] for shard in shards],
            **{name: sum(shard[name] for shard in shards) for name in self.totals},
            "model": shards[0]["model"],
            "version": shards[0]["version"],
        }

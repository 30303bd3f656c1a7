"""The operators that read one source in several tasks: plan the pieces, and gather what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import TriggerRule

from aimass.operators.ingest import ingest_event
from aimass.operators.stage import StageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class PlanIngestOperator(StageOperator):
    """Cut what is there to be read into pieces of about the same size, to be mapped over `IngestOperator`.

    Parameters
    ----------
    partitions : int
        How many pieces are wanted at most; the source cannot do more than it has blocks, files or offsets for.
    **kwargs
        See `StageOperator`; `config` is that of `IngestOperator`.

    Returns
    -------
    list
        One configuration for each piece; none where all has been read.

    Examples
    --------
    ::

        plan = PlanIngestOperator(task_id="plan", config=orders, partitions=4)
        pieces = IngestOperator.partial(task_id="read").expand(config=plan.output)
        GatherIngestOperator(task_id="orders", config=orders, pieces=pieces.output)
    """

    stage = "ingest_plan"
    section = "ingest"

    def __init__(self, *, partitions: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.partitions = partitions
        self.outlets = []

    def run_stage(self, context: Context, config: Mapping[str, Any]) -> Sequence[Any]:
        """Return the pieces' configurations."""
        result = super().run_stage(context, {"ingest": config, "count": self.partitions})
        found: Sequence[Any] = result["configs"]
        return found

    def announce(self, context: Context, result: Any) -> None:
        """Say how many pieces there are."""
        self.log.info("%d pieces to read", len(result))


class GatherIngestOperator(StageOperator):
    """Join the pieces that were read into one dataset, whose rows stay where they are.

    Parameters
    ----------
    pieces : sequence of mapping
        The results of the mapped `IngestOperator`. Templated.
    **kwargs
        See `StageOperator`; `config` is that of `PlanIngestOperator`.
    """

    stage = "ingest_gather"
    section = "ingest"
    template_fields: Sequence[str] = (*StageOperator.template_fields, "pieces")

    def __init__(self, *, pieces: Any, **kwargs: Any) -> None:
        # Where nothing was new there are no pieces, and the last dataset is the answer.
        super().__init__(**{"trigger_rule": TriggerRule.NONE_FAILED, **kwargs})
        self.pieces = pieces

    def run_stage(self, context: Context, config: Mapping[str, Any]) -> Any:
        """Publish the dataset of all pieces."""
        return super().run_stage(context, {"ingest": config, "pieces": [piece["uri"] for piece in self.pieces or ()]})

    def event(self, result: Any) -> dict[str, Any]:
        """Return what the asset's event tells; see `IngestOperator`."""
        return {**super().event(result), **ingest_event(result, self.store_conn_id)}

"""The operator of the stage ``release``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aimass.core.errors import NotAllowedError
from aimass.links.mlflow import ModelVersionLink
from aimass.links.report import ReportLink
from aimass.operators.stage import StageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

REASON_CHARACTERS = 500


class ReleaseOperator(StageOperator):
    """Certify the ONNX graph, pass the gate, register the version and move the alias.

    Parameters
    ----------
    approval_task_id : str, optional
        An `ApproveOperator` before this task: without its yes nothing is released, and who said it, and why, goes into
        the ledger.
    **kwargs
        See `StageOperator`.
    """

    stage = "release"
    operator_extra_links = (ReportLink(), ModelVersionLink())

    def __init__(self, *, approval_task_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.approval_task_id = approval_task_id

    def stage_config(self, context: Context) -> dict[str, Any]:
        """Return the configuration of this run, with the approval as its reason.

        Raises
        ------
        NotAllowedError
            Nobody approved the release.
        """
        config = super().stage_config(context)
        if self.approval_task_id is None:
            return config
        answer = context["ti"].xcom_pull(task_ids=self.approval_task_id) or {}
        if not answer.get("approved"):
            raise NotAllowedError(
                f"The task {self.approval_task_id!r} of this run has approved nothing",
                expected="an approval",
                hint=f"Clear {self.approval_task_id!r} to be asked again",
            )
        if not answer.get("asked"):
            return config
        reasons = [str(reason) for reason in (config.get("reason"), answer.get("reason")) if reason]
        return {**config, "reason": "; ".join(reasons)[-REASON_CHARACTERS:]}

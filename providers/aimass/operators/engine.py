"""What every operator that works with the engine has: its surroundings, and a word for those who see it fail."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from aimass.core.errors import AimassError
from aimass.hooks.runtime import build_runtime
from aimass.operators.failures import FAILURE_KEY, failure_document

if TYPE_CHECKING:
    from airflow.sdk import Context

    from aimass.core.deps import Runtime


class EngineOperator(BaseOperator):
    """Work with the engine's store, tracking server and registry.

    Parameters
    ----------
    project : str
        The pipeline that outputs belong to. Templated.
    store_conn_id, tracking_conn_id : str
        Connections of type ``aimass_store`` and ``aimass_mlflow``; where a default one does not exist, the options of
        ``[aimass]`` hold.
    **kwargs
        See `airflow.sdk.BaseOperator`.
    """

    template_fields: Sequence[str] = ("project",)

    def __init__(
        self,
        *,
        project: str = "default",
        store_conn_id: str = "aimass_store",
        tracking_conn_id: str = "aimass_mlflow",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project = project
        self.store_conn_id = store_conn_id
        self.tracking_conn_id = tracking_conn_id

    def runtime(self, context: Context, **others: Any) -> Runtime:
        """Return the surroundings of the work: store, tracking, run and principal; `others` are more fields."""
        run = context["dag_run"]
        return build_runtime(
            store_conn_id=self.store_conn_id,
            tracking_conn_id=self.tracking_conn_id,
            project=self.project,
            run_id=f"{run.dag_id}/{run.run_id}",
            principal=run.triggering_user_name or self.owner,
            **others,
        )

    @contextlib.contextmanager
    def told_failure(self, context: Context) -> Iterator[None]:
        """Tell what went wrong to those who cannot read the log, and lead the links to a refusal's report."""
        try:
            yield
        except AimassError as error:
            self.result_ = error.details.get("result", {})
            context["ti"].xcom_push(key=FAILURE_KEY, value=failure_document(error))
            raise

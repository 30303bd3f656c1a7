"""The DAGs that act on models in use: roll back, retire, predict in batches, improve."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, chain

from aimass.core.errors import AimassError
from aimass.notifications.base import Kind
from aimass.notifications.notifier import ModelNotifier
from aimass.operators import batch_predict, retire, rollback
from aimass.operators.compare import ApprovePromotionOperator, CompareOperator
from aimass.operators.improve import ImproveOperator, ImproveRequest
from aimass.operators.promote import PromoteOperator
from aimass.pipelines.dag import RETRIES, RETRY_DELAY
from aimass.pipelines.forms.params import form_params
from aimass.pipelines.generate import pipelines_dir
from aimass.pipelines.load import load_pipeline, pipeline_files
from aimass.pipelines.monitors import alerts_dir, watches

if TYPE_CHECKING:
    from airflow.sdk import Context

    from aimass.core.monitoring.rules import Watch
    from aimass.operators.request import ModelRequest

MAX_ACTIVE_RUNS = 16
TRAINING_POLL_S = 10


class Watched:
    """What the watch files say, as far as these DAGs need it.

    Parameters
    ----------
    dag_file : str or Path
        The DAG file that calls; see `alerts_dir`.
    """

    def __init__(self, dag_file: str | Path) -> None:
        self._watches: list[Watch] = list(watches(alerts_dir(dag_file)))

    @property
    def conn_ids(self) -> list[str]:
        """The servers that watch files name: whoever may write those may have a conf name them."""
        return sorted({name for watch in self._watches for name in watch.endpoints})

    def notifiers(self, kind: Kind) -> list[Callable[[Context], None]]:
        """Return what tells those who watch the model that a run is about."""
        channels: Mapping[str, Sequence[Mapping[str, Any]]] = {
            watch.model: watch.notify for watch in self._watches if watch.notify
        }
        return [ModelNotifier(kind=kind, channels_by_model=channels)] if channels else []


def rollback_dag(dag_file: str | Path) -> DAG:
    """Return ``aimass_rollback``: choose, verify, move, confirm, evidence; each may die and be tried again."""
    watched = Watched(dag_file)
    with _dag("aimass_rollback", rollback.RollbackForm, watched) as dag:
        before: dict[str, Any] = {}
        tasks = []
        for step in rollback.STEPS:
            task = rollback.RollbackOperator(
                task_id=step,
                steps=(step,),
                before=dict(before),
                from_params=True,
                allowed_conn_ids=watched.conn_ids,
            )
            before[step] = task.output
            tasks.append(task)
        chain(*tasks)
    return dag


def retire_dag(dag_file: str | Path) -> DAG:
    """Return ``aimass_retire``: deprecate, drain, archive, unload."""
    watched = Watched(dag_file)
    with _dag("aimass_retire", retire.RetireRequest, watched) as dag:
        shared: dict[str, Any] = {"from_params": True, "allowed_conn_ids": watched.conn_ids}
        chain(*(retire.RetireOperator(task_id=step, steps=(step,), **shared) for step in retire.STEPS))
    return dag


def batch_predict_dag(dag_file: str | Path) -> DAG:
    """Return ``aimass_batch_predict``: find the rows, answer them shard by shard, sum up."""
    with _dag("aimass_batch_predict", batch_predict.BatchRequest, Watched(dag_file)) as dag:
        rows = batch_predict.BatchInputOperator(task_id="rows", from_params=True)
        predict = batch_predict.BatchPredictOperator.partial(
            task_id="predict",
            project=f"{{{{ ti.xcom_pull(task_ids='rows', key='{batch_predict.PROJECT}') }}}}",
            map_index_template="{{ task.config['shard'] }}",
        ).expand(config=rows.output)
        batch_predict.BatchSummaryOperator(task_id="summary", shards=predict.output)
    return dag


def improve_dag(dag_file: str | Path) -> DAG:
    """Return ``aimass_improve``: train a challenger, compare it, and promote it or leave it to a person."""
    watched = Watched(dag_file)
    with _dag("aimass_improve", ImproveRequest, watched) as dag:
        shared: dict[str, Any] = {"from_params": True, "allowed_conn_ids": watched.conn_ids}
        choose = ImproveOperator(task_id="choose", pipelines=_releasing(pipelines_dir(dag_file)), **shared)
        train = TriggerDagRunOperator(
            task_id="train",
            trigger_dag_id="{{ ti.xcom_pull(task_ids='choose')['dag_id'] }}",
            trigger_run_id="improve__{{ run_id }}",
            conf="{{ ti.xcom_pull(task_ids='choose')['conf'] | tojson }}",  # type: ignore[arg-type] # a template of one
            wait_for_completion=True,
            deferrable=True,
            poke_interval=TRAINING_POLL_S,
            fail_when_dag_is_paused=True,
        )
        compare = CompareOperator(task_id="compare", **shared)
        approve = ApprovePromotionOperator(task_id="approve", question=compare.output, on_timeout="reject")
        promote = PromoteOperator(task_id="promote", **shared)
        chain(choose, train, compare, approve, promote)
    return dag


def _dag(dag_id: str, request: type[ModelRequest], watched: Watched) -> DAG:
    title = inspect.getdoc(request) or ""
    return DAG(
        dag_id=dag_id,
        description=title.partition("\n")[0],
        doc_md=f"{title}\n\nFill in the form with *Trigger*, or give the same fields as the conf of a run.",
        schedule=None,
        tags=["aimass", "serving"],
        default_args={"owner": "aimass", "retries": RETRIES, "retry_delay": RETRY_DELAY},
        params=form_params(request),
        max_active_runs=MAX_ACTIVE_RUNS,
        # The run of a paused DAG waits for ever, without a word.
        is_paused_upon_creation=False,
        on_success_callback=watched.notifiers("success") or None,
        on_failure_callback=watched.notifiers("failure") or None,
    )


def _releasing(folder: Path) -> list[str]:
    """Return the names of the good pipelines in `folder` that release a model."""
    names = []
    for file in pipeline_files(folder):
        try:
            pipeline = load_pipeline(file)
        except AimassError:
            # Its own DAG says what is wrong with it.
            continue
        if pipeline.release is not None:
            names.append(pipeline.name)
    return names

"""A pipeline as a DAG, from ingest to release."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, TriggerRule, XComArg

from aimass.notifications.base import Kind
from aimass.notifications.notifier import NoticeNotifier
from aimass.operators.approve import ApproveOperator
from aimass.operators.assets import stage_asset
from aimass.operators.clean import CleanOperator
from aimass.operators.evaluate import EvaluateOperator
from aimass.operators.explore import ExploreOperator
from aimass.operators.featurize import FeaturizeOperator
from aimass.operators.ingest import IngestOperator
from aimass.operators.join import JoinOperator
from aimass.operators.optimize import OptimizeOperator, OptimizePlanOperator, OptimizeWorkOperator
from aimass.operators.release import ReleaseOperator
from aimass.operators.split import SplitOperator
from aimass.operators.stage import StageOperator
from aimass.operators.train import TrainOperator
from aimass.operators.validate import ValidateOperator
from aimass.pipelines.forms.pipeline import pipeline_params
from aimass.pipelines.model import Pipeline
from aimass.pipelines.schedule import schedule_of

if TYPE_CHECKING:
    from airflow.sdk import Context

RETRIES = 2
RETRY_DELAY = timedelta(seconds=5)


def pipeline_dag(pipeline: Pipeline, file: Path) -> DAG:
    """Return the DAG of `pipeline`, which was read from `file`."""
    with DAG(
        dag_id=pipeline.dag_id,
        description=pipeline.description.strip().partition("\n")[0][:300] or None,
        doc_md=_doc(pipeline, file),
        schedule=schedule_of(pipeline),
        catchup=False,
        tags=["aimass", pipeline.name],
        default_args={
            "owner": pipeline.owner,
            "retries": RETRIES,
            "retry_delay": RETRY_DELAY,
            "project": pipeline.name,
            "compute": pipeline.compute,
        },
        params=pipeline_params(pipeline),
        max_active_runs=1,
        # The run of a paused DAG waits for ever, without a word.
        is_paused_upon_creation=False,
        on_success_callback=_notifiers(pipeline, "success") or None,
        on_failure_callback=_notifiers(pipeline, "failure") or None,
    ) as dag:
        PipelineTasks(pipeline).build()
    return dag


class PipelineTasks:
    """Builds the tasks inside the open DAG.

    Parameters
    ----------
    pipeline : Pipeline
        What the tasks are made for.
    from_form : bool
        The pipeline only says which tasks there are: what each of them does comes with the run, from the form that the
        DAG's default arguments name.
    """

    def __init__(self, pipeline: Pipeline, *, from_form: bool = False) -> None:
        self._pipeline = pipeline
        self._from_form = from_form
        self._sections = {section.stage: section for section in pipeline.sections()}
        self._fitting: dict[str, Any] = {"pool": pipeline.pool} if pipeline.pool else {}

    def build(self) -> None:
        """Add every task that the pipeline asks for."""
        joined = self._join()
        split = self._task(SplitOperator, {"dataset": _uri(joined)})
        rows = {"dataset": _uri(split)}
        explored = self._task(ExploreOperator, rows)
        validated = self._task(ValidateOperator, {**rows, "exploration": _uri(explored)})
        clean = self._task(CleanOperator, rows)
        validated >> clean
        featurized = self._task(FeaturizeOperator, {"dataset": _uri(clean), "raw": _uri(split)})
        features = {"dataset": _uri(featurized)}
        trained = self._task(TrainOperator, features, **self._fitting)
        evaluated = self._task(EvaluateOperator, {**features, "model": _uri(trained), "split": "validation"})
        model = trained
        if self._pipeline.optimize is not None:
            model = self._search({**features, "evaluation": _uri(evaluated), "baseline": _uri(trained)})
        tested = {**features, "model": _uri(model), "split": "test"}
        best = self._task(EvaluateOperator, tested, task_id="evaluate_best")
        evaluated >> best
        if self._pipeline.release is not None:
            made = {"model": model, "features": featurized, "raw": split, "evaluation": best}
            self._release({name: _uri(task) for name, task in made.items()})

    def _join(self) -> StageOperator:
        """Add ingest and join: an ad-hoc training has one table, a pipeline as many as its file says."""
        names = list(self._pipeline.sources)
        if self._from_form:
            return self._task(JoinOperator, {"tables": {names[0]: _uri(self._task(IngestOperator, {}))}})
        return self._task(JoinOperator, {"tables": self._ingest()}, table_names=names)

    def _ingest(self) -> XComArg:
        """Add ingest, mapped over the sources; return its results, in the order of the sources."""
        ingest = IngestOperator.partial(
            task_id="ingest",
            conf_checks=[section._asdict() for section in self._pipeline.sections()],
            map_index_template="{{ task.config['name'] }}",
            outlets=[stage_asset(self._pipeline.name, "ingest")],
        ).expand_kwargs([{"config": one.config, "conf_keys": one.keys} for one in self._pipeline.ingests()])
        return ingest.output

    def _search(self, inputs: dict[str, Any]) -> StageOperator:
        """Add the rounds of the search: a parent asks, workers try, and the last task takes the best."""
        shared = self._arguments("optimize", inputs)
        done = self._task(OptimizeOperator, inputs, trigger_rule=TriggerRule.NONE_FAILED, **self._fitting)
        before: list[Any] = []
        for number in range(1, self._pipeline.rounds + 1):
            # A round that a conf took away has no assignments: its workers are skipped, and the next task goes on.
            plan = OptimizePlanOperator(
                task_id=f"plan_{number}", round_index=number - 1, trigger_rule=TriggerRule.NONE_FAILED, **shared
            )
            work = OptimizeWorkOperator.partial(task_id=f"work_{number}", **self._fitting, **shared)
            worked = work.expand(assignment=plan.output)
            before >> plan
            before = [worked]
        before >> done
        return done

    def _release(self, inputs: dict[str, Any]) -> None:
        """Add the release, and the question before it where the pipeline wants one."""
        approval = self._pipeline.approval
        if approval is None:
            self._task(ReleaseOperator, inputs)
            return
        settings = {**approval.model_dump(), "notifiers": _notifiers(self._pipeline, "approval")}
        if self._from_form:
            settings |= {"when": "{{ params.approval }}", "language": "{{ params.language }}"}
        asked = self._task(ApproveOperator, inputs, task_id="approve", **settings)
        asked >> self._task(ReleaseOperator, inputs, approval_task_id=asked.task_id)

    def _task(self, operator: type[StageOperator], inputs: dict[str, Any], **arguments: Any) -> StageOperator:
        """Add the task of `operator`'s stage, with its section's configuration and `inputs`."""
        return operator(**{"task_id": operator.stage, **self._arguments(operator.stage, inputs), **arguments})

    def _arguments(self, stage: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return what the operator of `stage` is told of its configuration, besides its inputs."""
        section = self._sections[stage]
        if self._from_form:
            return {"config": inputs}
        return {"config": {**section.config, **inputs}, "conf_keys": section.keys}


def _uri(task: StageOperator) -> Any:
    """Return the address that `task` will publish."""
    return task.output["uri"]  # type: ignore[index] # a task that is not mapped has a plain output


def _notifiers(pipeline: Pipeline, kind: Kind) -> list[Callable[[Context], None]]:
    """Return what tells people; the DAG's own callbacks, since those are called once for each run, however it ends."""
    return [NoticeNotifier(kind=kind, channels=pipeline.notify)] if pipeline.notify else []


def _doc(pipeline: Pipeline, file: Path) -> str:
    return f"{pipeline.description.strip()}\n\nWritten in `{file.name}`."

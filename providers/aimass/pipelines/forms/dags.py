"""The DAGs of the forms: ``aimass_train_<form>`` runs what a filled-in form asks for, by a pipeline's tasks."""

from __future__ import annotations

import inspect
from pathlib import Path

from airflow.sdk import DAG, get_parsing_context

from aimass.operators.forms import FORMS
from aimass.pipelines.broken import broken_dag
from aimass.pipelines.dag import RETRIES, RETRY_DELAY, PipelineTasks
from aimass.pipelines.forms import form_dag_id, form_params, project_of
from aimass.pipelines.forms.base import MAX_ROUNDS, TrainForm
from aimass.pipelines.load import PipelineError

MAX_ACTIVE_RUNS = 4


def form_dags() -> dict[str, DAG]:
    """Return the DAG of every form by its id, for ``globals().update(form_dags())``; in a task, only the task's own."""
    wanted = get_parsing_context().dag_id
    dags: dict[str, DAG] = {}
    for name in FORMS.names():
        if wanted not in (None, form_dag_id(name)):
            continue
        try:
            dag = form_dag(name)
        except Exception as error:  # noqa: BLE001 - a third party's form must not take the others down
            fault = PipelineError(
                Path(f"train_{name}"), [("", f"cannot become a DAG: {type(error).__name__}: {error}")]
            )
            dag = broken_dag(fault.file, fault, taken=set(dags))
        dags[dag.dag_id] = dag
    return dags


def form_dag(name: str) -> DAG:
    """Return the DAG of the form `name`: the tasks are those of the largest pipeline that it can stand for."""
    form: type[TrainForm] = FORMS.load(name)  # type: ignore[assignment] # the protocol knows what operators need
    largest = form.model_validate({**form.example, "trials": MAX_ROUNDS, "rounds": MAX_ROUNDS, "approval": True})
    title = inspect.getdoc(form) or ""
    with DAG(
        dag_id=form_dag_id(name),
        description=title.partition("\n")[0],
        doc_md=f"{title}\n\nFill in the form with *Trigger*; what is wrong with it is said before a run begins. The "
        f"model is released under its name, its outputs belong to the project `{project_of(name, '<model name>')}`.",
        schedule=None,
        tags=["aimass", "form"],
        default_args={
            "owner": "aimass",
            "retries": RETRIES,
            "retry_delay": RETRY_DELAY,
            "project": project_of(name, "{{ params.name }}"),
            "form": name,
        },
        params=form_params(form),
        max_active_runs=MAX_ACTIVE_RUNS,
        # The run of a paused DAG waits for ever, without a word.
        is_paused_upon_creation=False,
    ) as dag:
        PipelineTasks(largest.pipeline(), from_form=True).build()
    return dag

"""The tabs on Airflow's own pages of a DAG, a run and a task.

Airflow 3.3 shows them in a frame with our origin: links to our pages open inside it, links to Airflow around it (see
shell.js). They need neither: whatever they have to say stands in them.

No ``from __future__ import annotations``: see `aimass.ui.security`.
"""

from typing import Any

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from aimass.ui.candidates import candidates_of, measured
from aimass.ui.pages import page
from aimass.ui.queries.results import TaskKey, result_of, results_of_run, results_of_task
from aimass.ui.queries.runs import PipelineRun, last_runs, pipeline_head, record_of, run_of, tasks_of
from aimass.ui.security import ReadableDag
from aimass.ui.stages import figures, stages_of, warnings_of

SHOWN_RUNS = 10

router = APIRouter(prefix="/tabs", dependencies=[ReadableDag])


@router.get("/dag/{dag_id}")
def dag(request: Request, dag_id: str, session: SessionDep) -> HTMLResponse:
    """Show the last runs of a DAG, with what they measured, and the stages of the newest."""
    head = pipeline_head(session, dag_id)
    runs = last_runs(session, dag_id, SHOWN_RUNS) if head.ours else []
    ids = [run.run_id for run in runs]
    found = measured(
        runs, results_of_task(session, dag_id, ids, "evaluate_best"), results_of_task(session, dag_id, ids, "release")
    )
    return page(
        request, "tab_dag.html", head=head, runs=runs, points={one.run_id: one for one in found},
        run_id=runs[0].run_id if runs else "", stages=_stages(session, dag_id, runs[0]) if runs else [],
    )  # fmt: skip


@router.get("/run/{dag_id}/{run_id}")
def run(request: Request, dag_id: str, run_id: str, session: SessionDep) -> HTMLResponse:
    """Show the stages of a run and its candidates."""
    head = pipeline_head(session, dag_id)
    chosen = run_of(session, dag_id, run_id)
    results = results_of_run(session, dag_id, run_id) if head.ours else {}
    plain = {key.task_id: result for key, result in results.items() if key.map_index == -1}
    return page(
        request, "tab_run.html", head=head, run=chosen, stages=_stages(session, dag_id, chosen) if head.ours else [],
        run_id=run_id, candidates=candidates_of(plain),
    )  # fmt: skip


@router.get("/task/{dag_id}/{run_id}/{task_id}/{map_index}")
def task(request: Request, dag_id: str, run_id: str, task_id: str, map_index: str, session: SessionDep) -> HTMLResponse:
    """Show what a task returned, in words; Airflow leaves ``{MAP_INDEX}`` as it is where a task is not mapped."""
    place = int(map_index) if map_index.isdecimal() else -1
    head = pipeline_head(session, dag_id)
    chosen = run_of(session, dag_id, run_id)
    result = result_of(session, dag_id, run_id, TaskKey(task_id, place)) if head.ours else None
    found = [each for each in _stages(session, dag_id, chosen) if any(one.task_id == task_id for one in each.tasks)]
    figure, facts = figures(found[0].name, [("", result)]) if found and result else (None, [])
    return page(
        request, "tab_task.html", head=head, run_id=run_id, task_id=task_id, map_index=place,
        stage=found[0] if found else None,
        state=next((one.state for each in found for one in each.tasks if one[:2] == (task_id, place)), ""),
        result=result, figure=figure, facts=facts, warnings=warnings_of(result or {}),
    )  # fmt: skip


def _stages(session: Any, dag_id: str, run: PipelineRun) -> list[Any]:
    results = results_of_run(session, dag_id, run.run_id)
    return stages_of(tasks_of(session, dag_id, run.run_id), record_of(session, dag_id, run, results))

"""One pipeline: a run's stages, the candidates that it compared, and how the metrics moved over the runs.

No ``from __future__ import annotations``: see `aimass.ui.security`.
"""

import json
from typing import Any

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from aimass.ui.candidates import advice_of, candidates_of, measured, trend
from aimass.ui.pages import language_of, page
from aimass.ui.queries.attention import questions
from aimass.ui.queries.results import TaskKey, results_of_run, results_of_task
from aimass.ui.queries.runs import PipelineRun, last_runs, pipeline_head, record_of, run_of, tasks_of
from aimass.ui.security import ReadableDag, Reader
from aimass.ui.stages import stages_of
from aimass.ui.surroundings import deps_for
from aimass.ui.told import teller

LISTED_RUNS = 25
REFRESH_S = 5

router = APIRouter(prefix="/pipelines/{dag_id}", dependencies=[ReadableDag])


@router.get("")
def pipeline(
    request: Request, dag_id: str, session: SessionDep, reader: Reader, run: str = "", follow: bool = True
) -> HTMLResponse:
    """Show it with one run, the newest where `run` names none; `follow` lets the page of an active run renew itself."""
    head = pipeline_head(session, dag_id)
    runs = last_runs(session, dag_id)
    chosen = _chosen(session, dag_id, runs, run)
    context = _of_run(request, session, reader, chosen) if chosen else {}
    points = _measured(session, dag_id, runs, chosen)
    response = page(
        request, "pipeline.html", place="overview", head=head, runs=runs[:LISTED_RUNS], run=chosen, follow=follow,
        questions=questions(session, reader, {dag_id}, chosen.run_id) if chosen else [],
        points=points, draw=trend, **context,
    )  # fmt: skip
    if chosen and chosen.is_active and follow:
        # A header, not an element: the reader's scroll stays, and there is a link that ends it.
        response.headers["Refresh"] = str(REFRESH_S)
    return response


def _chosen(session: Any, dag_id: str, runs: list[PipelineRun], run_id: str) -> PipelineRun | None:
    if not run_id:
        return runs[0] if runs else None
    return next((run for run in runs if run.run_id == run_id), None) or run_of(session, dag_id, run_id)


def _of_run(request: Request, session: Any, reader: Any, run: PipelineRun) -> dict[str, Any]:
    """Return what the template shows of one run."""
    dag_id = request.path_params["dag_id"]
    results = results_of_run(session, dag_id, run.run_id)
    plain = {key.task_id: result for key, result in results.items() if key.map_index == -1}
    warnings, advice = advice_of(plain)
    tell = teller(deps_for(reader.get_name()), plain, language_of(request))
    return {
        "stages": stages_of(tasks_of(session, dag_id, run.run_id), record_of(session, dag_id, run, results)),
        "candidates": candidates_of(plain),
        "warnings": [tell(text) for text in warnings],
        "advice": advice,
        "evaluation": results.get(TaskKey("evaluate_best"), {}),
        "release": results.get(TaskKey("release"), {}),
        "asked": json.dumps(run.conf, indent=2, ensure_ascii=False, default=str) if run.conf else "",
    }


def _measured(session: Any, dag_id: str, runs: list[PipelineRun], chosen: PipelineRun | None) -> list[Any]:
    """Return what the runs of the chosen model measured, the oldest first."""
    alike = [run for run in reversed(runs) if chosen is None or run.model == chosen.model]
    ids = [run.run_id for run in alike]
    evaluations = results_of_task(session, dag_id, ids, "evaluate_best")
    return measured(alike, evaluations, results_of_task(session, dag_id, ids, "release"))

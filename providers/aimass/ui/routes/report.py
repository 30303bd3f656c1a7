"""The report of a task: a viewer in the look of the pages, around a frame in which the report can do no harm.

No ``from __future__ import annotations``: see `aimass.ui.security`.
"""

from typing import Any

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from aimass.core.errors import NotFoundError
from aimass.core.reports.page import report_name
from aimass.core.texts import LANGUAGES
from aimass.operators.failures import FAILURE_KEY
from aimass.ui.outputs import PublishedOutput, output_of
from aimass.ui.pages import REPORT_POLICY, language_of, page, safe_headers
from aimass.ui.queries.results import TaskKey, result_of
from aimass.ui.security import ReadableDag, Reader
from aimass.ui.surroundings import deps_for

REPORT = report_name()
router = APIRouter(prefix="/pipelines/{dag_id}/runs/{run_id}/tasks/{task_id}/report", dependencies=[ReadableDag])


@router.get("")
def viewer(
    request: Request, dag_id: str, run_id: str, task_id: str, session: SessionDep, reader: Reader, map_index: int = -1
) -> HTMLResponse:
    """Show the report, with a way to print and to download it."""
    found = _report(session, reader.get_name(), dag_id, run_id, TaskKey(task_id, map_index))
    names = [file.name for file in found.manifest.files]
    return page(
        request, "report.html", dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index,
        stage=found.manifest.stage, created_at=found.manifest.created_at, files=names,
    )  # fmt: skip


@router.get("/content")
def content(
    request: Request, dag_id: str, run_id: str, task_id: str, session: SessionDep, reader: Reader,
    map_index: int = -1, download: bool = False,
) -> Response:  # fmt: skip
    """Answer the report in the reader's language."""
    found = _report(session, reader.get_name(), dag_id, run_id, TaskKey(task_id, map_index))
    return _sent(found, _in_language(found, language_of(request)), download=download)


@router.get("/{name}")
def other_language(
    dag_id: str, run_id: str, task_id: str, name: str, session: SessionDep, reader: Reader, map_index: int = -1
) -> Response:
    """Answer the report by its file's name: where a report that is open alone leads for its other language."""
    if name not in [report_name(language) for language in LANGUAGES]:
        raise HTTPException(404, f"A report is called {report_name()}, not {name}")
    return _sent(_report(session, reader.get_name(), dag_id, run_id, TaskKey(task_id, map_index)), name)


def _sent(found: PublishedOutput, name: str, *, download: bool = False) -> HTMLResponse:
    """Return a report under a policy that takes its origin, scripts and addresses away."""
    headers = safe_headers(REPORT_POLICY)
    if download:
        headers["Content-Disposition"] = f'attachment; filename="{found.manifest.stage}-{found.manifest.key[:8]}.html"'
    return HTMLResponse(found.read(name), headers=headers)


def _report(session: Any, reader: str, dag_id: str, run_id: str, task: TaskKey) -> PublishedOutput:
    """Return the output that holds the task's report.

    Raises
    ------
    NotFoundError
        There is no such task, it has not ended, or its stage writes none.
    """
    result = result_of(session, dag_id, run_id, task)
    if result is None:
        # A release that was refused and data that do not hold have failed, and have a report that says why.
        failure = result_of(session, dag_id, run_id, task, key=FAILURE_KEY) or {}
        result = {"uri": str(failure.get("report", "")).rpartition("/")[0]}
    found = output_of(deps_for(reader), result)
    if not found.has(REPORT):
        raise NotFoundError(f"{found.manifest.stage} writes no report.")
    return found


def _in_language(found: PublishedOutput, language: str) -> str:
    name = report_name(language)
    return name if found.has(name) else REPORT

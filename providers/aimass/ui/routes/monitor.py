"""A model that is served: its servers now, its windows over time, what its rules did, and the reports.

No ``from __future__ import annotations``: see `aimass.ui.security`.
"""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from aimass.core.deps import Deps
from aimass.core.monitoring.result import MonitorResult, read_windows, windows_folder
from aimass.core.release.base import RegisteredModel
from aimass.core.reports.page import report_name
from aimass.core.texts import LANGUAGES
from aimass.pipelines.forms import dag_of_project
from aimass.ui.history import answer_panels, heat, marks_of, quality_panels, run_metrics
from aimass.ui.languages import translations
from aimass.ui.live import ask, panels
from aimass.ui.model_plots import titled
from aimass.ui.outputs import published
from aimass.ui.pages import REPORT_POLICY, language_of, page, safe_headers
from aimass.ui.registered import CHAMPION, alias_moves, find_model
from aimass.ui.security import Reader, may_read, refuse_unreadable
from aimass.ui.surroundings import deps_for
from aimass.ui.watching import endpoints_of, watched

SHOWN_WINDOWS = (60, 240, 1000)
LISTED_WINDOWS = 30
EVIDENTLY = "evidently.html"
LINKING_POLICY = REPORT_POLICY.replace("sandbox;", "sandbox allow-downloads;")
"""A window's report leads to Evidently's, which is downloaded: by a click, for nothing runs here either."""

router = APIRouter(prefix="/models/{name}/monitor")


@router.get("")
def monitor(request: Request, name: str, reader: Reader, windows: int = SHOWN_WINDOWS[0]) -> HTMLResponse:
    """Show everything; `windows` is how many are looked back at."""
    deps = deps_for(reader.get_name())
    model = _guarded(deps, name, reader)
    language = language_of(request)
    words = translations(language)
    shown = read_windows(deps.store, model.project, name, limit=max(1, min(windows, SHOWN_WINDOWS[-1])))
    moves, broken = alias_moves(deps, name)
    marks = marks_of(moves, CHAMPION, words)
    return page(
        request, "monitor.html", place="models", **_now(model, language), choices=SHOWN_WINDOWS, broken=broken,
        watched=watched(deps, model.project, name, moves, language), may_read=partial(may_read, reader),
        windows=shown, listed=shown[: -LISTED_WINDOWS - 1 : -1], heat=heat(shown),
        titled=partial(titled, language=language), report_name=report_name(language),
        quality=quality_panels(shown, marks, language), answers=answer_panels(shown, marks, words),
        measured=run_metrics(deps, shown, marks, words),
    )  # fmt: skip


@router.get("/live")
def live(request: Request, name: str, reader: Reader) -> HTMLResponse:
    """Show the servers alone; the page renews itself."""
    model = _guarded(deps_for(reader.get_name()), name, reader)
    return page(request, "live.html", place="models", **_now(model, language_of(request)))


@router.get("/{start}/{file}")
def report(name: str, start: str, file: str, reader: Reader) -> Response:
    """Answer a report of the window that begins at `start`, under a policy that lets it do nothing."""
    deps = deps_for(reader.get_name())
    window = _window(deps, _guarded(deps, name, reader), start)
    headers = safe_headers(LINKING_POLICY)
    if file == EVIDENTLY:
        # It is made of scripts, which run nowhere in our pages: for the reader's own disk.
        headers["Content-Disposition"] = f'attachment; filename="{name}-{start}-{EVIDENTLY}"'
    elif file not in [report_name(language) for language in LANGUAGES]:
        raise HTTPException(404, f"A window has {report_name()} and {EVIDENTLY}, not {file}")
    return HTMLResponse(published(deps, window.uri).read(file), headers=headers)


def _guarded(deps: Deps, name: str, reader: Any) -> RegisteredModel:
    """Return the model, which the reader may see: they may read the DAG of its pipeline."""
    found = find_model(deps, name)
    if found is None:
        raise HTTPException(404, f"No pipeline has registered a model {name!r}.")
    refuse_unreadable(reader, dag_of_project(found[0].project))
    return found[0]


def _now(model: RegisteredModel, language: str) -> dict[str, Any]:
    """Return what the servers say."""
    words = translations(language)
    servers = [ask(conn_id, datetime.now(UTC)) for conn_id in endpoints_of(model.name)]
    shown = [(server, panels(server.samples, model.name, words)) for server in servers]
    return {"model": model, "dag_id": dag_of_project(model.project), "servers": shown}


def _window(deps: Deps, model: RegisteredModel, start: str) -> MonitorResult:
    """Return the window that begins at `start`, as file names have the time."""
    folder = windows_folder(deps.store, model.project, model.name)
    if f"{start}.json" not in deps.store.list(folder):
        raise HTTPException(404, f"No window of {model.name} begins at {start}.")
    return MonitorResult.model_validate(deps.store.read_json(f"{folder}/{start}.json"))

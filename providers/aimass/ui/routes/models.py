"""Registered models: the list, and one model with its versions, ledger, certificate, card and feature graph.

No ``from __future__ import annotations``: see `aimass.ui.security`.
"""

from functools import partial
from typing import Any

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from aimass.core.deps import Deps
from aimass.core.features.provenance import origins, steps
from aimass.core.release.base import RegisteredModel, Version
from aimass.links.mlflow import version_page
from aimass.pipelines.forms import dag_of_project
from aimass.ui.card import card_html
from aimass.ui.feature_flow import feature_flow
from aimass.ui.languages import translations
from aimass.ui.model_plots import compared, explained, titled, trends
from aimass.ui.pages import language_of, page
from aimass.ui.queries.results import TaskKey, results_of_run
from aimass.ui.registered import (
    CHAMPION,
    MAIN_METRICS,
    Released,
    Run,
    alias_moves,
    aliases_of,
    find_model,
    metrics_of,
    model_lines,
    past_the_ledger,
    released,
    run_of,
    run_of_move,
)
from aimass.ui.security import Reader, may_read, refuse_unreadable
from aimass.ui.surroundings import deps_for

MOST_LISTED = 500
router = APIRouter(prefix="/models")


@router.get("")
def models(request: Request, reader: Reader) -> HTMLResponse:
    """List the registered models of the DAGs that the reader may read."""
    lines, more = model_lines(deps_for(reader.get_name()), lambda dag_id: may_read(reader, dag_id))
    return page(
        request, "models.html", place="models", lines=lines, more=more, main_metrics=MAIN_METRICS,
        metrics_of=metrics_of, run_of_move=run_of_move, titled=partial(titled, language=language_of(request)),
    )  # fmt: skip


@router.get("/{name}")
def model(request: Request, name: str, session: SessionDep, reader: Reader, version: str = "") -> HTMLResponse:
    """Show one model, and of its versions the one that is asked for, the champion, or the newest."""
    deps = deps_for(reader.get_name())
    found = find_model(deps, name)
    if found is None:
        raise HTTPException(404, f"No pipeline has registered a model {name!r}.")
    registered, versions = found
    dag_id = dag_of_project(registered.project)
    refuse_unreadable(reader, dag_id)
    chosen = _chosen(registered, versions, version)
    moves, broken = alias_moves(deps, name)
    left = released(deps, registered, chosen)
    language = language_of(request)
    run = run_of(moves, chosen)
    readable_run = run if run is not None and may_read(reader, run.dag_id) else None
    return page(
        request, "model.html", place="models", model=registered, dag_id=dag_id, versions=versions, chosen=chosen,
        moves=moves[::-1], broken=broken, strays={} if broken else past_the_ledger(registered, moves),
        released=left, comparison=compared(versions), trends=trends(versions),
        run=readable_run, task=_release_task(session, readable_run, left),
        explained=partial(explained, language=language), titled=partial(titled, language=language),
        card=card_html(left.card) if left is not None else "", mlflow=_mlflow_page(deps, chosen),
        aliases_of=aliases_of, metrics_of=metrics_of, run_of=run_of, run_of_move=run_of_move,
        **_flow(language, left, chosen),
    )  # fmt: skip


def _chosen(model: RegisteredModel, versions: list[Version], wanted: str) -> Version:
    standing = wanted or model.aliases.get(CHAMPION)
    chosen = next((version for version in versions if version.version == standing), None)
    if chosen is None and not wanted:
        chosen = next(iter(versions), None)
    if chosen is None:
        known = ", ".join(version.version for version in versions) or "none"
        raise HTTPException(404, f"The model {model.name!r} has no version {wanted!r}; it has: {known}")
    return chosen


def _release_task(session: Session, run: Run | None, left: Released | None) -> TaskKey | None:
    """Return the task of the run that made the release, whatever it is called."""
    if run is None or left is None:
        return None
    results = results_of_run(session, run.dag_id, run.run_id)
    address = left.output.uri
    return next((task for task, result in results.items() if str(result.get("uri", "")).rstrip("/") == address), None)


def _mlflow_page(deps: Deps, version: Version) -> str:
    address = deps.runtime.registry_uri or deps.runtime.tracking_uri or ""
    return version_page(address, version.name, version.version)


def _flow(language: str, left: Released | None, version: Version) -> dict[str, Any]:
    """Return what the page draws of the feature graph."""
    if left is None or left.graph is None:
        return {"flow": None}
    graph = left.graph
    drawn = feature_flow(
        graph, model=version.name, family=version.tags.get("aimass.family", ""),
        words=translations(language),
    )  # fmt: skip
    listed = list(origins(graph).items())[:MOST_LISTED]
    names = [step.name for step in steps(graph)]
    lines = [(name, origin.raw, [names[place] for place in origin.through]) for name, origin in listed]
    return {"flow": drawn, "graph": graph, "lines": lines}

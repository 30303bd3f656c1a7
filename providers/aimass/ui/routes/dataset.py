"""What a task published: schema, profile, files, and where it comes from.

No ``from __future__ import annotations``: see `aimass.ui.security`.
"""

from collections.abc import Iterable

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from aimass.core.manifest import Part
from aimass.ui.columns import column_lines, exploration_of
from aimass.ui.languages import translations
from aimass.ui.lineage import lineage_of
from aimass.ui.lineage_picture import lineage_picture
from aimass.ui.outputs import output_of
from aimass.ui.pages import language_of, links_of, page
from aimass.ui.positions import position_words
from aimass.ui.queries.published import makers_of
from aimass.ui.queries.results import TaskKey, result_of
from aimass.ui.reads import reads_of
from aimass.ui.security import ReadableDag, Reader
from aimass.ui.surroundings import deps_for

REPORT = "report.html"
EXPLORED = "/explore/"
"""Part of the address of what the stage explore publishes."""
router = APIRouter(prefix="/pipelines/{dag_id}/runs/{run_id}/tasks/{task_id}/dataset", dependencies=[ReadableDag])


@router.get("")
def dataset(
    request: Request, dag_id: str, run_id: str, task_id: str, session: SessionDep, reader: Reader, map_index: int = -1
) -> HTMLResponse:
    """Show what the task published, by its manifest; no row of it is read."""
    found = output_of(deps_for(reader.get_name()), result_of(session, dag_id, run_id, TaskKey(task_id, map_index)))
    makers = makers_of(session, dag_id, run_id)
    lineage = lineage_of(found, makers)
    explorations = [uri for uri, maker in makers.items() if maker.run_id == run_id and EXPLORED in uri]
    exploration = exploration_of(found, explorations)
    words = translations(language_of(request))
    picture = lineage_picture(lineage, makers, dag_id=dag_id, run_id=run_id, links=links_of(request), words=words)
    return page(
        request, "dataset.html", dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index,
        manifest=found.manifest, shares=_shares(found.manifest.parts), has_report=found.has(REPORT),
        columns=column_lines(found.manifest, exploration), exploration=exploration, lineage=lineage, picture=picture,
        position=position_words(found.manifest.position, words), reads=reads_of(found, makers, words),
    )  # fmt: skip


def _shares(parts: Iterable[Part]) -> dict[str, int]:
    """Return the rows of each share of the split; empty where the rows are not split."""
    found: dict[str, int] = {}
    for part in parts:
        if part.split is not None:
            found[part.split] = found.get(part.split, 0) + part.rows
    return found

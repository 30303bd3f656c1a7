"""The overview: what needs the reader, then every pipeline that they may see.

No ``from __future__ import annotations``: see `aimass.ui.security`.
"""

from typing import Any, NamedTuple

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from aimass.ui.pages import page
from aimass.ui.queries.attention import Question, import_failures, questions
from aimass.ui.queries.pipelines import Failure, PipelineRow, add_history, failures, pipelines
from aimass.ui.security import Reader, readable_dags
from aimass.ui.strip import strip

PAGE_ROWS = 50
MOST_NEEDS = 8
STANDINGS = ("failed", "active", "success", "new", "broken")

router = APIRouter()


class Need(NamedTuple):
    """One thing that needs the reader: kind is approval, refused, failed, broken or import_error."""

    kind: str
    name: str
    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    text: str = ""
    at: Any = None


@router.get("/")
def overview(
    request: Request, session: SessionDep, reader: Reader,
    q: str = "", show: str = "", sheet: int = 1, every: bool = False,
) -> HTMLResponse:  # fmt: skip
    """Show it; `q` searches, `show` is a standing to filter by, `sheet` counts from 1, `every` lists every need."""
    readable = readable_dags(reader)
    ours = pipelines(session, readable)
    asked = questions(session, reader, {row.dag_id for row in ours})
    waiting = {each.dag_id for each in asked}
    for row in ours:
        row.waits = row.dag_id in waiting
    needs = [
        *_asked([each for each in asked if each.is_mine], ours),
        *_failing(session, ours),
        *_unreadable(session, reader, readable, ours),
    ]
    rows = [row for row in ours if row.makes_models]
    found = [row for row in rows if _matches(row, q) and show in ("", row.standing)]
    sheets = max(1, -(-len(found) // PAGE_ROWS))
    sheet = min(max(1, sheet), sheets)
    shown = found[(sheet - 1) * PAGE_ROWS : sheet * PAGE_ROWS]
    add_history(session, shown)
    counts = {standing: sum(row.standing == standing for row in rows) for standing in STANDINGS}
    return page(
        request, "overview.html", place="overview", q=q, show=show, sheet=sheet, sheets=sheets, rows=shown, strip=strip,
        total=len(rows), found=len(found), counts=counts, needs=needs if every else needs[:MOST_NEEDS],
        more_needs=0 if every else max(0, len(needs) - MOST_NEEDS),
    )  # fmt: skip


def _asked(mine: list[Question], rows: list[PipelineRow]) -> list[Need]:
    names = {row.dag_id: row.name for row in rows}
    return [
        Need("approval", names[one.dag_id], one.dag_id, one.run_id, one.task_id, one.subject, one.asked_at)
        for one in mine
    ]


def _failing(session: Any, rows: list[PipelineRow]) -> list[Need]:
    """Return the pipelines whose last run failed, or was refused by the release's gate."""
    lost = {row.last.number: row for row in rows if row.last and row.last.state == "failed" and not row.broken}
    found = failures(session, [row.last for row in lost.values() if row.last])
    needs = []
    for number, row in lost.items():
        assert row.last is not None
        failure = found.get(number, Failure("", "", is_refusal=False))
        kind = "refused" if failure.is_refusal else "failed"
        place = (row.name, row.dag_id, row.last.run_id, failure.task_id)
        needs.append(Need(kind, *place, text=failure.message, at=row.last.until))
    return needs


def _unreadable(session: Any, reader: Any, readable: set[str], rows: list[PipelineRow]) -> list[Need]:
    """Return pipelines whose file is wrong, and files that Airflow cannot import."""
    broken = [
        Need("broken", row.name, row.dag_id, text=row.description.removeprefix("Broken: "))
        for row in rows
        if row.broken
    ]
    failures = import_failures(session, reader, readable)
    return broken + [Need("import_error", one.filename, text=one.text, at=one.seen_at) for one in failures]


def _matches(row: PipelineRow, wanted: str) -> bool:
    words = wanted.casefold().split()
    text = f"{row.dag_id} {row.name} {row.description} {row.owner}".casefold()
    return all(word in text for word in words)

"""What is told of an alert: the notice of a judged window."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from aimass.links.airflow_pages import airflow_run_url
from aimass.links.pages import page_url
from aimass.notifications.base import Notice

if TYPE_CHECKING:
    from aimass.core.monitoring.judgement import AlertNotice, Event


def alert_notice(
    told: AlertNotice, events: Sequence[Event], *, model: str, dag_id: str, run_id: str, now: datetime
) -> Notice:
    """Return the notice of what the rules of `model` found in one window.

    Messages count as alike where the same rules say the same: `tasks` and `error` have these.
    """
    return Notice(
        kind="alert",
        dag_id=dag_id,
        pipeline=model,
        run_id=run_id,
        when=now.isoformat(timespec="seconds"),
        tasks=sorted({event.rule for event in events}),
        error=", ".join(sorted({event.kind for event in events})),
        lines=told.lines,
        level=told.level,
        page=told.page,
        run_url=airflow_run_url(dag_id, run_id),
        report_url=page_url("models", model, "monitor"),
    )

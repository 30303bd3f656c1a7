"""The evidence of a rollback, as a document and as a page."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from aimass.core import settings
from aimass.core.endpoints.status import ShadowReport
from aimass.core.evaluation import METRICS
from aimass.core.monitoring.result import MonitorResult
from aimass.core.release.ledger import AliasMove
from aimass.core.release.rollback import Confirmation, Plan, Verification
from aimass.core.reports import number, percent, render
from aimass.core.texts import Text, say

MAX_COLUMNS = 20


class Evidence(settings.Settings):
    """What was seen, tried, moved and confirmed."""

    plan: Plan = Field(description="What was chosen.")
    move: AliasMove = Field(description="The ledger's entry.")
    verification: Verification = Field(description="What the servers saw when they tried the target.")
    confirmation: Confirmation = Field(description="What the servers did afterwards.")
    left_metrics: dict[str, float] = Field(description="The left version on its test part.")
    target_metrics: dict[str, float] = Field(description="The target on its test part.")
    seen: MonitorResult | None = Field(default=None, description="The window that shows why; may be empty.")


def evidence_html(evidence: Evidence) -> str:
    """Return the page, in the language that is spoken now."""
    plan, seen = evidence.plan, evidence.seen
    return render(
        "rollback.html",
        title=plan.model,
        subtitle=say("from version {left} back to version {target}", left=plan.leave, target=plan.target),
        plan=plan,
        move=evidence.move,
        tiles=_tiles(evidence),
        window=_window(seen) if seen is not None else None,
        quality=_quality(evidence),
        columns=_columns(seen) if seen is not None else [],
        shadow=[_shadow(name, report) for name, report in sorted(evidence.verification.reports.items())],
        unreachable=sorted(evidence.verification.unreachable.items()),
        servers=_servers(evidence.confirmation),
        digests=[(plan.leave, plan.leave_digest), (plan.target, plan.target_digest)],
    )


def _tiles(evidence: Evidence) -> list[dict[str, Any]]:
    reports = evidence.verification.reports.values()
    confirmed = evidence.confirmation
    servers = len(confirmed.serving) + len(confirmed.lacking)
    return [
        {"label": say("version left"), "value": evidence.plan.leave, "tone": "error"},
        {"label": say("back to version"), "value": evidence.plan.target, "tone": "good"},
        {
            "label": say("rows tried before"),
            "value": number(sum(report.rows for report in reports)),
            "hint": say("Recent requests that the target was tried on, on every server, before the alias moved."),
        },
        {
            "label": say("servers that followed"),
            "value": f"{len(confirmed.serving)} / {servers}",
            "tone": "good" if confirmed.ok else "warning",
        },
    ]


def _window(seen: MonitorResult) -> Text:
    times = {"start": f"{seen.start:%Y-%m-%d %H:%M}", "end": f"{seen.end:%Y-%m-%d %H:%M}"}
    if seen.no_data:
        return say("From {start} to {end} (UTC) there were too few rows to judge.", **times)
    return say(
        "From {start} to {end} (UTC) version {version} answered {rows:,} logged rows.",
        **times,
        version=seen.version,
        rows=seen.rows,
    )


def _quality(evidence: Evidence) -> list[tuple[Text, str, str, str]]:
    """Return name, test value of both versions, and what the left one did in use, of each metric that is known."""
    seen = evidence.seen.quality.of(evidence.plan.leave) if evidence.seen and evidence.seen.quality else None
    used = {figure.metric: figure for figure in seen.figures} if seen is not None else {}
    rows = []
    for name in sorted(METRICS.names()):
        figures = (evidence.left_metrics.get(name), evidence.target_metrics.get(name), used.get(name))
        if any(figure is not None for figure in figures):
            in_use = figures[2]
            told = f"{number(in_use.value)} ({number(in_use.low)} … {number(in_use.high)})" if in_use else number(None)
            rows.append((say(METRICS.load(name).title), told, number(figures[0]), number(figures[1])))
    return rows


def _columns(seen: MonitorResult) -> list[tuple[str, str, str, str]]:
    drifted = [column for column in seen.drift.columns if column.drifted] if seen.drift is not None else []
    worst = sorted(drifted, key=lambda column: -column.effect)[:MAX_COLUMNS]
    return [
        (
            column.column,
            number(column.effect),
            f"{number(column.reference_mean)} → {number(column.mean)}" if column.mean is not None else number(None),
            f"{percent(column.reference_missing_share)} → {percent(column.missing_share)}",
        )
        for column in worst
    ]


def _shadow(name: str, report: ShadowReport) -> tuple[str, str, str, str, str, str]:
    return (
        name,
        number(report.rows),
        number(report.failed_rows),
        number(report.mean_abs_diff),
        number(report.label_changes),
        number(report.p99_ms),
    )


def _servers(confirmed: Confirmation) -> list[dict[str, Any]]:
    follows = [
        {"level": "good", "text": say("{server} answers with it.", server=name)} for name in sorted(confirmed.serving)
    ]
    others = sorted(confirmed.lacking.items())
    return [
        *follows,
        *({"level": "warning", "text": say("{server}: {lack}", server=name, lack=lack)} for name, lack in others),
    ]

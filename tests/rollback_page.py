"""The page of a rollback, of a model and of columns with hostile and Chinese names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aimass.core.endpoints.status import ShadowReport
from aimass.core.monitoring.result import (
    ColumnDrift,
    Drift,
    DriftTest,
    MonitorResult,
    Quality,
    QualityFigure,
    VersionQuality,
)
from aimass.core.release.evidence import Evidence, evidence_html
from aimass.core.release.ledger import AliasMove
from aimass.core.release.rollback import Confirmation, Plan, Verification

END = datetime(2026, 4, 1, 12, tzinfo=UTC)
METRICS = {"auc": 0.7, "log_loss": 0.4}


def rollback_page(hostile: str, chinese: str) -> str:
    """Return the page; `hostile` and `chinese` stand wherever users' words may stand."""
    report = ShadowReport(model="late", version="1", against="2", rows=200, mean_abs_diff=0.21, ok=True)
    return evidence_html(
        Evidence(
            plan=Plan(
                model=hostile,
                alias="champion",
                leave="2",
                leave_digest="2" * 64,
                target="1",
                target_digest="1" * 64,
                next_good=None,
                why=f"{chinese} {hostile}",
            ),
            move=AliasMove(
                alias="champion",
                old_version="2",
                new_version="1",
                digest="1" * 64,
                who=hostile,
                when=END.isoformat(),
                why=hostile,
                run_id=hostile,
            ),
            verification=Verification(reports={chinese: report}, unreachable={hostile: hostile}),
            confirmation=Confirmation(serving=[chinese], lacking={hostile: hostile}),
            left_metrics=METRICS,
            target_metrics=METRICS,
            seen=window(hostile, chinese),
        )
    )


def window(hostile: str, chinese: str) -> MonitorResult:
    """Return a window in which two columns moved and the AUC fell."""
    figure = QualityFigure(metric="auc", value=0.52, low=0.48, high=0.56, at_release=0.7)
    quality = VersionQuality(version="2", rows=300, positives=90, figures=[figure])
    answers = column("probability", 0.4)
    columns = [column(hostile, 5.2), column(chinese, 0.3)]
    return MonitorResult(
        model=hostile,
        project="flights",
        alias="champion",
        version="2",
        model_digest="2" * 64,
        start=END - timedelta(hours=1),
        end=END,
        rows=5321,
        rows_by_version={"2": 5321},
        no_data=False,
        drift=Drift(alpha=0.01, min_effect=0.1, tests=9, columns=columns, probability=answers, label=answers),
        quality=Quality(labels=300, matched=300, versions=[quality]),
    )


def column(name: str, effect: float) -> ColumnDrift:
    """Return a column that moved by `effect`."""
    test = DriftTest(name="distribution", statistic=0.4, p=0.001, q=0.001, effect=effect, alarm=True)
    return ColumnDrift(
        column=name,
        kind="float",
        rows=300,
        reference_rows=1000,
        missing_share=0.02,
        reference_missing_share=0.4,
        mean=744.2,
        reference_mean=12.4,
        tests=[test],
    )

"""Write prediction logs and late labels as a server does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from aimass.core.datasets import DatasetWriter
from aimass.core.deps import Deps
from aimass.core.manifest import Manifest, publish_manifest
from aimass.core.monitoring import log

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)


def publish_segment(deps: Deps, model: str, rows: pl.DataFrame, *, what: str, version: str = "", **facts: Any) -> str:
    """Publish `rows` as one segment; return its URI."""
    start, end = rows[log.AT].min(), rows[log.AT].max()
    folder = f"{log.log_folder(deps.store, deps.project, model, what)}/{log.segment_name(start, 'here', version, 0)}"
    writer = DatasetWriter(deps.store, folder)
    writer.write(rows)
    writer.close()
    result = {"model": model, "version": version, "start": start.isoformat(), "end": end.isoformat(), **facts}
    made = Manifest(
        kind="dataset",
        project=deps.project,
        stage=what,
        key=folder,
        code_version=1,
        config={},
        columns=writer.columns,
        parts=writer.parts,
        result={**result, "rows": rows.height},
        created_at=end.isoformat(),
    )
    publish_manifest(deps.store, folder, made)
    return folder


def predictions(
    raw: pl.DataFrame,
    probability: Any,
    label: Any = None,
    *,
    version: str = "1",
    alias: str = "champion",
    start: datetime = NOON,
    minutes: float = 50,
) -> pl.DataFrame:
    """Return raw rows in canonical form as the log has them, evenly spread over `minutes` from `start` on."""
    rows = raw.height
    step = timedelta(minutes=minutes) / max(1, rows)
    return pl.DataFrame(
        {
            log.REQUEST_ID: [f"{start:%d%H%M}-v{version}-{index}" for index in range(rows)],
            log.ROW: pl.Series([0] * rows, dtype=pl.Int32),
            log.AT: pl.Series([start + step * index for index in range(rows)], dtype=pl.Datetime("us", "UTC")),
            log.VERSION: [version] * rows,
            log.ALIAS: [alias] * rows,
            log.PROBABILITY: pl.Series(probability, dtype=pl.Float32),
            log.LABEL: pl.Series((pl.Series(probability) >= 0.5) if label is None else label).cast(pl.Int8),
            log.LATENCY_MS: pl.Series([0.4] * rows, dtype=pl.Float32),
            log.THREADS: pl.Series([1] * rows, dtype=pl.Int8),
        }
    ).hstack(raw)


def labels(answered: pl.DataFrame, truth: Any, *, delay: timedelta) -> pl.DataFrame:
    """Return the labels of logged rows, each known `delay` after its answer."""
    return answered.select(
        log.REQUEST_ID, log.ROW, pl.col(log.AT) + delay, pl.Series(truth).cast(pl.Int8).alias(log.LABEL)
    )

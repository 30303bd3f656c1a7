"""What a server did, interval by interval: made of the counters that its workers report, and kept for a day."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from aimass.core.endpoints.status import MetricSample, ModelSample, WorkerStatus

KEPT = timedelta(days=1)

Counted = dict[str, dict[str, Any]]
"""Counters by model, as `Metrics.snapshot` gives them."""


class Reading(NamedTuple):
    """One worker at one moment."""

    worker: WorkerStatus
    models: Counted


class Samples:
    """Differences between readings.

    Parameters
    ----------
    server_id : str
        Name of the server.
    interval_s : float
        Time between two readings in seconds.
    """

    def __init__(self, server_id: str, interval_s: float) -> None:
        self.server_id = server_id
        self._kept: deque[MetricSample] = deque(maxlen=int(KEPT.total_seconds() / interval_s))
        self._before: dict[int, Reading] = {}
        self._at: datetime | None = None

    def take(self, at: datetime, readings: Sequence[Reading]) -> None:
        """Make a sample of what happened since the last call; a worker that was not there then started at nothing."""
        before, since = self._before, self._at
        self._before, self._at = {reading.worker.pid: reading for reading in readings}, at
        if since is None:
            return
        workers = [reading.worker for reading in readings]
        earlier = [before[worker.pid].worker if worker.pid in before else None for worker in workers]
        interval_s = max((at - since).total_seconds(), 1e-6)

        def grown(name: str) -> float:
            pairs = zip(workers, earlier, strict=True)
            return float(sum(getattr(now, name) - (getattr(then, name) if then else 0) for now, then in pairs))

        self._kept.append(
            MetricSample(
                at=at,
                interval_s=interval_s,
                server_id=self.server_id,
                cpu_share=grown("cpu_s") / interval_s,
                rss_bytes=sum(worker.rss_bytes for worker in workers),
                read_bytes=int(grown("read_bytes")),
                write_bytes=int(grown("write_bytes")),
                queue_rows=sum(worker.queue_rows for worker in workers),
                models=_models(readings, before),
            )
        )

    def since(self, moment: datetime | None) -> list[MetricSample]:
        """Return the samples after `moment`, oldest first."""
        kept = list(self._kept)
        return kept if moment is None else kept[bisect_right(kept, moment, key=lambda sample: sample.at) :]


def _models(readings: Sequence[Reading], before: Mapping[int, Reading]) -> dict[str, ModelSample]:
    total: Counted = {}
    for reading in readings:
        earlier = before[reading.worker.pid].models if reading.worker.pid in before else {}
        for name, counted in reading.models.items():
            if name:
                _add(total.setdefault(name, {}), counted, earlier.get(name, {}))
    return {
        name: ModelSample(
            requests=counted["requests"],
            errors=counted["errors"],
            rows=counted["rows"],
            p50_ms=quantile_ms(counted["buckets"], 0.5),
            p99_ms=quantile_ms(counted["buckets"], 0.99),
            versions={version: count for version, count in counted["versions"].items() if count},
        )
        for name, counted in total.items()
    }


def _add(total: dict[str, Any], now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    """Add to `total` what grew between two readings."""
    for name in ("requests", "errors", "rows"):
        total[name] = total.get(name, 0) + now[name] - then.get(name, 0)
    earlier = then.get("buckets") or [0] * len(now["buckets"])
    sums = total.get("buckets") or [0] * len(now["buckets"])
    total["buckets"] = [each + new - old for each, new, old in zip(sums, now["buckets"], earlier, strict=True)]
    versions = total.setdefault("versions", {})
    for version, count in now["versions"].items():
        versions[version] = versions.get(version, 0) + count - then.get("versions", {}).get(version, 0)


def quantile_ms(buckets: Sequence[int], share: float) -> float | None:
    """Return the latency in ms below which `share` of the requests lie, as far as the buckets tell; None without any.

    Within a bucket the requests are taken to lie evenly, as Prometheus' ``histogram_quantile`` takes them.
    """
    from aimass.serving.metrics import LATENCY_S

    count = sum(buckets)
    if not count:
        return None
    wanted, seen = share * count, 0
    for at, requests in enumerate(buckets):
        if seen + requests >= wanted and requests:
            if at == len(LATENCY_S):
                break
            start = LATENCY_S[at - 1] if at else 0.0
            return 1e3 * (start + (LATENCY_S[at] - start) * (wanted - seen) / requests)
        seen += requests
    return 1e3 * LATENCY_S[-1]

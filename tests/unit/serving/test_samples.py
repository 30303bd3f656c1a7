from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aimass.core.endpoints.status import WorkerStatus
from aimass.serving.metrics import LATENCY_S
from aimass.serving.samples import Reading, Samples, quantile_ms

START = datetime(2026, 4, 1, tzinfo=UTC)


def reading(pid: int, requests: int, **status: Any) -> Reading:
    buckets = [0] * (len(LATENCY_S) + 1)
    buckets[6] = requests
    models = {
        "late": {
            "requests": requests,
            "errors": 1,
            "rows": 2 * requests,
            "buckets": buckets,
            "versions": {"1": requests},
        }
    }
    return Reading(WorkerStatus(pid=pid, started_at=START, **status), models)


def test_a_sample_is_what_happened_between_two_readings_over_all_workers() -> None:
    samples = Samples("s", 10.0)
    samples.take(START, [reading(1, 10, cpu_s=1.0), reading(2, 5, cpu_s=2.0)])
    samples.take(START + timedelta(seconds=10), [reading(1, 30, cpu_s=3.0, rss_bytes=7), reading(2, 6, cpu_s=5.0)])
    (sample,) = samples.since(None)
    assert sample.cpu_share == pytest.approx(0.5)
    assert sample.rss_bytes == 7
    late = sample.models["late"]
    assert (late.requests, late.rows, late.errors, late.versions) == (21, 42, 0, {"1": 21})
    assert late.p50_ms is not None
    assert 0.75 < late.p50_ms <= 1.0


def test_a_worker_that_was_started_anew_began_at_nothing() -> None:
    samples = Samples("s", 10.0)
    samples.take(START, [reading(1, 10)])
    samples.take(START + timedelta(seconds=10), [reading(2, 3)])
    assert samples.since(None)[0].models["late"].requests == 3


def test_samples_after_a_moment() -> None:
    samples = Samples("s", 10.0)
    for number in range(5):
        samples.take(START + timedelta(seconds=10 * number), [])
    assert len(samples.since(None)) == 4
    assert [sample.at for sample in samples.since(START + timedelta(seconds=30))] == [START + timedelta(seconds=40)]


def test_quantiles_lie_within_their_bucket() -> None:
    assert quantile_ms([0] * (len(LATENCY_S) + 1), 0.5) is None
    slow = [0] * len(LATENCY_S) + [3]
    assert quantile_ms(slow, 0.99) == 1e3 * LATENCY_S[-1]
    buckets = [0] * (len(LATENCY_S) + 1)
    buckets[0], buckets[6] = 50, 50
    assert quantile_ms(buckets, 0.25) == pytest.approx(0.05)
    assert quantile_ms(buckets, 0.75) == pytest.approx(0.875)

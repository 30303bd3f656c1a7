"""Ours beside a peer, run after run: ratios of neighbours, which a machine's moods change less than figures alone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.figures import Figure, figure
from benchmarks.serving.load import Load


def paired(name: str, ours: Sequence[Load], peer: Sequence[Load], goal: float | None = None) -> list[Figure]:
    """Return the answers per second of both, and the median of the pairs' ratios, which the goal is about."""
    both = figure(
        f"{name}: answers per second", [seen.per_s for seen in ours], "/s", peer=[seen.per_s for seen in peer]
    )
    ratios = [one.per_s / max(other.per_s, 1e-9) for one, other in zip(ours, peer, strict=True)]
    median = statistics.median(ratios)
    spread = (max(ratios) - min(ratios)) / median if median else 0.0
    return [both, Figure(f"{name}: ours / peer", median, "x", spread=spread, goal=goal, more_is_better=True)]


def latency(name: str, ours: Sequence[Load], peer: Sequence[Load] = ()) -> list[Figure]:
    """Return the median and 99th percentile of the latency of both; reported only."""
    return [
        figure(
            f"{name}: {which}",
            [getattr(seen, f"{which}_ms") for seen in ours],
            "ms",
            peer=[getattr(seen, f"{which}_ms") for seen in peer],
        )
        for which in ("p50", "p99")
    ]


def cpu(name: str, ours: Sequence[Load], peer: Sequence[Load]) -> Figure:
    """Return the CPU time per answer of both; reported only."""
    return figure(f"{name}: CPU per answer", [seen.cpu_ms for seen in ours], "ms", peer=[seen.cpu_ms for seen in peer])


def errors(*runs: Sequence[Load]) -> Figure:
    """Return how many answers were not good, and none may be."""
    return Figure("errors", float(sum(seen.errors for each in runs for seen in each)), "", goal=0)

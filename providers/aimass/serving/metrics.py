"""What a worker counts, for Prometheus and for the supervisor's samples.

A request costs a few additions to plain numbers (`Tally`); every half second they are added to the Prometheus
metrics, which several workers share through files (`prometheus_client`'s multiprocess mode: the supervisor names the
folder in ``PROMETHEUS_MULTIPROC_DIR`` before a worker imports this). kill -9 loses what was counted since.

Names follow Prometheus' conventions: base units, ``_total`` for counters. Labels hold names of served models,
versions and tokens only, never what a client made up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Count
from typing import Any

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from aimass.serving.loaded import LoadedModel

FLUSH_S = 0.5
LATENCY_S = (
    0.0001, 0.0002, 0.0003, 0.0004, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015,
    0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip
"""Upper ends of the latency histogram's buckets, in seconds; one more bucket has what took longer."""
BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Tally:
    """What one version did in this worker since it was loaded.

    Attributes
    ----------
    model, version : str
        The version.
    requests : dict of (protocol, token) to int
        Requests answered.
    rows : int
        Rows scored.
    seconds : float
        Sum of the latencies.
    buckets : list of int
        Requests by latency, see `LATENCY_S`.
    batches : list of int
        Runs by rows, see `BATCH_ROWS`.
    """

    __slots__ = ("batched_rows", "batches", "buckets", "model", "requests", "rows", "seconds", "version")

    def __init__(self, model: str, version: str) -> None:
        self.model = model
        self.version = version
        self.requests: Count[tuple[str, str]] = Count()
        self.rows = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(LATENCY_S) + 1)
        self.batches = [0] * (len(BATCH_ROWS) + 1)
        self.batched_rows = 0

    def answered(self, protocol: str, token: str, n_rows: int, took_s: float) -> None:
        """Count one request."""
        self.requests[protocol, token] += 1
        self.rows += n_rows
        self.seconds += took_s
        self.buckets[bisect_left(LATENCY_S, took_s)] += 1

    def callers(self) -> dict[str, int]:
        """Return the requests by name of their token, without those that had none."""
        found: Count[str] = Count()
        for (_, token), count in self.requests.items():
            if token:
                found[token] += count
        return dict(found)

    def ran(self, n_rows: int) -> None:
        """Count one run of the graph."""
        self.batches[bisect_left(BATCH_ROWS, n_rows)] += 1
        self.batched_rows += n_rows


class Metrics:
    """All tallies of a worker, and their way to Prometheus.

    Parameters
    ----------
    folder : str
        What the workers share; empty where there is one only.
    """

    def __init__(self, folder: str = "") -> None:
        self._folder = folder
        self.registry = CollectorRegistry()
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._errors: Count[tuple[str, str, str]] = Count()
        self._told: dict[Any, Any] = {}
        registry = self.registry
        self._requests = Counter(
            "aimass_requests", "Requests answered.", ["model", "version", "protocol", "token"], registry=registry
        )
        self._failures = Counter(
            "aimass_errors", "Requests refused or failed.", ["model", "code", "protocol"], registry=registry
        )
        self._rows = Counter("aimass_rows", "Rows scored.", ["model", "version"], registry=registry)
        self._latency = Histogram(
            "aimass_request_seconds",
            "From a request's first byte to its answer.",
            ["model"],
            buckets=LATENCY_S,
            registry=registry,
        )
        self._batches = Histogram(
            "aimass_batch_rows", "Rows of one run.", ["model"], buckets=BATCH_ROWS, registry=registry
        )
        self._queue = Gauge(
            "aimass_queue_rows", "Rows that wait.", ["model"], multiprocess_mode="livesum", registry=registry
        )
        self._process = psutil.Process()
        self._own = {
            name: Gauge(f"aimass_worker_{name}", text, multiprocess_mode="liveall", registry=registry)
            for name, text in (
                ("cpu_seconds", "CPU seconds used by the worker."),
                ("resident_bytes", "Resident memory of the worker."),
                ("read_bytes", "Bytes that the worker read from disk."),
                ("written_bytes", "Bytes that the worker wrote to disk."),
            )
        }

    def tally(self, loaded: LoadedModel) -> Tally:
        """Return the tally of a version; one that is loaded again goes on where it was."""
        return self._tallies.setdefault((loaded.name, loaded.version), Tally(loaded.name, loaded.version))

    def failed(self, model: str, code: str, protocol: str) -> None:
        """Count one request that got an error; `model` is empty where no such model is served."""
        self._errors[model, code, protocol] += 1

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return by model what was counted since the worker started, JSON-able.

        Keys: requests, errors, rows, seconds, buckets (see `LATENCY_S`), versions (requests by version).
        """
        found: dict[str, dict[str, Any]] = {}
        for tally in self._tallies.values():
            requests = tally.requests.total()
            model = found.setdefault(tally.model, _nothing())
            model["requests"] += requests
            model["rows"] += tally.rows
            model["seconds"] += tally.seconds
            model["buckets"] = [one + other for one, other in zip(model["buckets"], tally.buckets, strict=True)]
            model["versions"][tally.version] = requests
        for (model_name, _, _), count in self._errors.items():
            found.setdefault(model_name, _nothing())["errors"] += count
        return found

    def flush(self, queued_rows: dict[str, int]) -> None:
        """Add to the Prometheus metrics what was counted since the last time."""
        for tally in self._tallies.values():
            names = (tally.model, tally.version)
            for (protocol, token), count in tally.requests.items():
                self._add(self._requests.labels(*names, protocol, token), count)
            self._add(self._rows.labels(*names), tally.rows)
            self._add_histogram(self._latency.labels(tally.model), names, tally.buckets, tally.seconds)
            self._add_histogram(self._batches.labels(tally.model), names, tally.batches, tally.batched_rows)
        for labels, count in self._errors.items():
            self._add(self._failures.labels(*labels), count)
        for model, rows in queued_rows.items():
            self._queue.labels(model).set(rows)
        self._measure_worker()

    def text(self) -> bytes:
        """Return the metrics of all workers in Prometheus' text format."""
        if not self._folder:
            return generate_latest(self.registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone, path=self._folder)  # type: ignore[no-untyped-call]
        return generate_latest(everyone)

    def _add(self, counter: Any, total: float, key: Any = None) -> None:
        key = key or counter
        more = total - self._told.get(key, 0)
        if more:
            self._told[key] = total
            counter.inc(more)

    def _add_histogram(self, histogram: Any, names: tuple[str, str], buckets: list[int], total: float) -> None:
        # The library observes one value at a time only, which would stop the event loop for milliseconds.
        for at, count in enumerate(buckets):
            self._add(histogram._buckets[at], count, (histogram, names, at))
        self._add(histogram._sum, total, (histogram, names))

    def _measure_worker(self) -> None:
        times = self._process.cpu_times()
        self._own["cpu_seconds"].set(times.user + times.system)
        self._own["resident_bytes"].set(self._process.memory_info().rss)
        if hasattr(self._process, "io_counters"):  # not on every system
            disk = self._process.io_counters()
            self._own["read_bytes"].set(disk.read_bytes)
            self._own["written_bytes"].set(disk.write_bytes)


def _nothing() -> dict[str, Any]:
    return {
        "requests": 0,
        "errors": 0,
        "rows": 0,
        "seconds": 0.0,
        "buckets": [0] * (len(LATENCY_S) + 1),
        "versions": {},
    }

"""What the supervisor tells Prometheus: beside the workers' metrics, in the same folder.

Import this once ``PROMETHEUS_MULTIPROC_DIR`` is set: the library looks at it when it is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import mark_process_dead

if TYPE_CHECKING:
    from aimass.serving.inventory import Record


LOAD_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper ends of the buckets of loads, in seconds."""


class Vitals:
    """The metrics of one server; read with those of its workers."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"aimass_{name}", text, labels, registry=registry, multiprocess_mode="mostrecent")

        self._generation = gauge("generation", "Number of switches so far.")
        self._reachable = gauge("registry_reachable", "1 where the last look at the registry succeeded, else 0.")
        self._deaths = gauge("worker_deaths", "Workers that died since the server started.")
        self._unsealed = gauge("log_unsealed_bytes", "Journals of predictions that are not in the store yet.")
        self._dropped = gauge("log_dropped_rows", "Predictions that found no room in the log.")
        self._alarm = gauge("model_alarm", "1 where the server does not serve what the registry asks for.", "model")
        self._memory = gauge("version_memory_bytes", "What a version is counted with, per worker.", "model", "version")
        self._loads = Counter("aimass_loads", "Versions loaded into memory.", ["model", "outcome"], registry=registry)
        self._load_s = Histogram(
            "aimass_load_seconds",
            "From the wish for a version to its being warm in every worker.",
            ["model"],
            buckets=LOAD_S,
            registry=registry,
        )
        self._evictions = Counter("aimass_evictions", "Models that made room for others.", ["model"], registry=registry)
        self._misses = Counter(
            "aimass_load_waits", "Times that a worker's requests waited for a load.", ["model"], registry=registry
        )

        self._models: set[str] = set()
        self._versions: set[tuple[str, str]] = set()

    def loaded(self, model: str, took_s: float) -> None:
        """Count a version that came into memory."""
        self._loads.labels(model, "loaded").inc()
        self._load_s.labels(model).observe(took_s)

    def load_failed(self, model: str) -> None:
        """Count a version that could not be loaded."""
        self._loads.labels(model, "failed").inc()

    def evicted(self, model: str) -> None:
        """Count a model that made room."""
        self._evictions.labels(model).inc()

    def waited(self, model: str) -> None:
        """Count requests that found their version not in memory."""
        self._misses.labels(model).inc()

    def tell_log(self, *, unsealed_bytes: int, dropped_rows: int) -> None:
        """Tell how the prediction log does."""
        self._unsealed.set(unsealed_bytes)
        self._dropped.set(dropped_rows)

    def tell(
        self,
        *,
        generation: int,
        reachable: bool,
        deaths: int,
        models: Mapping[str, str],
        records: Mapping[tuple[str, str], Record],
    ) -> None:
        """Tell how the server does; `models` has the alarm of each model, empty where there is none."""
        self._generation.set(generation)
        self._reachable.set(reachable)
        self._deaths.set(deaths)
        # What is gone is told once more, as nothing: the last value would stand for ever.
        for name in self._models | models.keys():
            self._alarm.labels(name).set(bool(models.get(name)))
        ready = {key: record.memory_bytes for key, record in records.items() if record.state == "ready"}
        for key in self._versions | ready.keys():
            self._memory.labels(*key).set(ready.get(key, 0))
        self._models, self._versions = set(models), set(ready)


def forget_worker(pid: int, folder: str) -> None:
    """Let the gauges of a worker that died go; its counters stay."""
    mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]

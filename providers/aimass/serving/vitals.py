"""What the supervisor tells Prometheus: beside the workers' metrics, in the same folder.

Import this once ``PROMETHEUS_MULTIPROC_DIR`` is set: the library looks at it when it is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.multiprocess import mark_process_dead

if TYPE_CHECKING:
    from aimass.serving.inventory import Record


class Vitals:
    """The gauges of one server; read with those of its workers."""

    def __init__(self) -> None:
        registry = CollectorRegistry()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"aimass_{name}", text, labels, registry=registry, multiprocess_mode="mostrecent")

        self._generation = gauge("generation", "Number of switches so far.")
        self._reachable = gauge("registry_reachable", "1 where the last look at the registry succeeded, else 0.")
        self._deaths = gauge("worker_deaths", "Workers that died since the server started.")
        self._unsealed = gauge("log_unsealed_bytes", "Journals of predictions that are not in the store yet.")
        self._dropped = gauge("log_dropped_rows", "Predictions that found no room in the log.")
        self._alarm = gauge("model_alarm", "1 where the server does not serve what the registry asks for.", "model")
        self._memory = gauge("version_memory_bytes", "What a version is counted with, per worker.", "model", "version")

        self._models: set[str] = set()
        self._versions: set[tuple[str, str]] = set()

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

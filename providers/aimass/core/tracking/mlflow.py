"""Track runs with MLflow: a server over HTTP, or a database."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aimass.core.deps import Deps
from aimass.core.errors import AimassError, TransientError
from aimass.core.tracking.base import KEY_TAG
from aimass.core.tracking.connection import artifact_location, connect, mlflow_errors, shown, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

FLUSH_INTERVAL_S = 1.0
"""A metric waits at most so long (until the next one comes): a request for each step would slow training down."""
BATCH_METRICS = 1000
"""The most that MLflow takes at once."""


class MLflowTracker:
    """Runs in the MLflow experiment that is called like the project."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    @contextlib.contextmanager
    def run(
        self, name: str, *, key: str, params: Mapping[str, Any], tags: Mapping[str, str] | None = None
    ) -> Iterator[MLflowRun]:
        """Open the run with `key`, or take it up again."""
        with mlflow_errors(self._deps):
            run = self._open(connect(self._deps), name, key, params, tags or {})
        try:
            yield run
            run.flush()
        except BaseException as error:
            # The error that ended the run is the one to tell, not that a dead server cannot note it.
            with contextlib.suppress(AimassError):
                run.end("FAILED" if isinstance(error, Exception) else "KILLED", lost=isinstance(error, TransientError))
            raise
        run.end("FINISHED")

    def _open(
        self, client: MlflowClient, name: str, key: str, params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> MLflowRun:
        experiment_id = self._experiment(client)
        found = client.search_runs([experiment_id], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
        if found:
            run = found[0]
            client.update_run(run.info.run_id, status="RUNNING")
        else:
            own = {KEY_TAG: key, "aimass.run_id": self._deps.runtime.run_id, **tags}
            run = client.create_run(experiment_id, run_name=name, tags=own)
        self._log_params(client, run, params)
        return MLflowRun(client, run, self._deps, taken_up=bool(found))

    def _experiment(self, client: MlflowClient) -> str:
        from mlflow.exceptions import MlflowException

        name = self._deps.project
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                return client.create_experiment(name, artifact_location=artifact_location(self._deps))
            except MlflowException:
                # Another task of the project may have been first.
                found = client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _log_params(self, client: MlflowClient, run: Run, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        known = run.data.params
        new = [Param(name, str(value)) for name, value in params.items() if name not in known]
        client.log_batch(run.info.run_id, params=new)


class MLflowRun:
    """One MLflow run; metrics are sent in batches."""

    def __init__(self, client: MlflowClient, run: Run, deps: Deps, *, taken_up: bool) -> None:
        self.run_id: str = run.info.run_id
        self.url = _url(tracking_uri(deps), run)
        self._client = client
        self._deps = deps
        self._recorded = set(run.data.metrics) if taken_up else set()
        self._last_step: dict[str, int] = {}
        self._pending: list[Metric] = []
        self._flushed_at = time.monotonic()

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Note `metrics`, and send them when the last sending was a moment ago."""
        from mlflow.entities import Metric

        now_ms = int(self._deps.clock().timestamp() * 1000)
        for name, value in metrics.items():
            if step > self._last_recorded(name):
                self._pending.append(Metric(name, float(value), now_ms, step))
        if len(self._pending) >= BATCH_METRICS or time.monotonic() - self._flushed_at >= FLUSH_INTERVAL_S:
            self.flush()

    def log_artifact(self, path: Path, *, folder: str = "") -> None:
        """Attach the file at `path`."""
        with mlflow_errors(self._deps):
            self._client.log_artifact(self.run_id, str(path), folder or None)

    def flush(self) -> None:
        """Send what waits."""
        with mlflow_errors(self._deps):
            while self._pending:
                self._client.log_batch(self.run_id, metrics=self._pending[:BATCH_METRICS])
                del self._pending[:BATCH_METRICS]
        self._flushed_at = time.monotonic()

    def end(self, status: str, *, lost: bool = False) -> None:
        """Close the run; a server that was `lost` just now is not waited for again."""
        if not lost:
            if status != "FINISHED":
                self.flush()
            with mlflow_errors(self._deps):
                self._client.set_terminated(self.run_id, status)

    def _last_recorded(self, name: str) -> int:
        """Return the last step of a metric that an earlier attempt recorded, or -1."""
        if name not in self._recorded:
            return -1
        if name not in self._last_step:
            with mlflow_errors(self._deps):
                history = self._client.get_metric_history(self.run_id, name)
            self._last_step[name] = max((item.step for item in history), default=-1)
        return self._last_step[name]


def _url(uri: str, run: Run) -> str:
    if not uri.startswith("http"):
        return f"runs:/{run.info.run_id}"
    return f"{shown(uri).rstrip('/')}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"

"""Waiting for a metric: of a run, of a version, or of the answers whose labels have arrived."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field, model_validator

from aimass.core.errors import NotFoundError
from aimass.hooks.runtime import build_runtime
from aimass.triggers.base import Look
from aimass.triggers.window import WatchedModel, window_facts


class MetricReached(WatchedModel):
    """A metric is beyond a limit; one that was not measured yet is waited for."""

    model: str = Field(default="", description="The model; a run needs none.")
    source: Literal["run", "version", "window"] = Field(
        description="run: an MLflow run's metric; version: what the release measured on the test part; window: what "
        "the monitor found in the newest window that has it, such as the auc of the answers whose labels have arrived."
    )
    metric: str = Field(min_length=1, description="Name of the metric.")
    above: float | None = Field(default=None, description="Met where the metric is at least this.")
    below: float | None = Field(default=None, description="Met where the metric is at most this.")
    run_id: str | None = Field(default=None, description="The MLflow run.")
    alias: str = Field(
        default="champion", description="The alias of the version, where no version is given; not for windows."
    )
    tracking_conn_id: str = Field(default="aimass_mlflow", description="Connection of the tracking server.")
    registry: dict[str, Any] = Field(default={"type": "mlflow"}, description="The model registry.")

    @model_validator(mode="after")
    def _is_complete(self) -> MetricReached:
        if self.above is None and self.below is None:
            raise ValueError("needs 'above' or 'below'")
        needed = "run_id" if self.source == "run" else "model"
        if not getattr(self, needed):
            raise ValueError(f"a metric of a {self.source} needs {needed!r}")
        return self

    def look(self) -> Look:
        """Read the metric."""
        found, facts = {"run": self._of_run, "version": self._of_version, "window": self._of_window}[self.source]()
        value = found.get(self.metric)
        if value is None:
            told = f"{self.metric} is not measured yet; there is {', '.join(sorted(found)) or 'nothing'}"
            return Look(False, told)
        met = (self.above is None or value >= self.above) and (self.below is None or value <= self.below)
        return Look(met, f"{self.metric} is {value:.6g}", {"metric": self.metric, "value": value, **facts})

    def _of_run(self) -> tuple[dict[str, float], dict[str, Any]]:
        from aimass.core.deps import Deps
        from aimass.core.tracking.connection import connect, mlflow_errors

        deps = Deps.from_runtime(self._runtime())
        with mlflow_errors(deps):
            run = connect(deps).get_run(str(self.run_id))
        return dict(run.data.metrics), {"run_id": self.run_id}

    def _of_version(self) -> tuple[dict[str, float], dict[str, Any]]:
        from aimass.core.deps import Deps
        from aimass.core.release.base import METRICS_TAG
        from aimass.core.release.promotion import open_registry

        registry = open_registry(self.registry, Deps.from_runtime(self._runtime()))
        if registry.model(self.model) is None:
            raise NotFoundError(
                f"There is no registered model {self.model!r}", known=[model.name for model in registry.models()]
            )
        if self.version is not None:
            version = registry.version(self.model, self.version)
        else:
            version = registry.aliased(self.model, self.alias)
        if version is None:
            return {}, {}
        return json.loads(version.tags.get(METRICS_TAG, "{}")), {"model": self.model, "version": version.version}

    def _of_window(self) -> tuple[dict[str, float], dict[str, Any]]:
        """Return the figures of the newest window that has the metric; what others have, where none does.

        Labels tell of every version that answered, so quality is known of those that are not the watched one, too.
        """
        from aimass.core.monitoring.figures import quality_figures

        known: dict[str, float] = {}
        for window in self.windows():
            own = self.version in (None, window.version)
            found = dict(window.metrics) if own else quality_figures(window.quality, self.version)
            if self.metric in found:
                return found, {**window_facts(window), "version": self.version or window.version}
            known |= found
        return known, {}

    def _runtime(self) -> Any:
        return build_runtime(store_conn_id=self.store_conn_id, tracking_conn_id=self.tracking_conn_id)

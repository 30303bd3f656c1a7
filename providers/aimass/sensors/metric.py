"""The sensor that waits for a metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aimass.sensors.condition import ConditionSensor

if TYPE_CHECKING:
    from airflow.sdk import Context


class MetricSensor(ConditionSensor):
    """Wait until a metric is beyond a limit: of an MLflow run, of a version, or of answers whose labels arrived late.

    Parameters
    ----------
    of : mapping
        What is measured, and the limits; the fields of `aimass.triggers.metric.MetricReached`. Templated.
    **kwargs
        See `ConditionSensor`.

    Returns
    -------
    dict
        ``metric``, ``value``, and whose it is.

    Examples
    --------
    The quality of version 4, as soon as labels tell of it, in a window that began after the run did::

        good = {"source": "window", "model": "flights_late", "project": "flights", "metric": "auc", "above": 0.65}
        MetricSensor(task_id="good", of={**good, "version": "4", "since": "{{ dag_run.start_date }}"})
    """

    condition = "metric"
    template_fields: Sequence[str] = ("of",)

    def __init__(self, *, of: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.of = of

    def settings(self, context: Context) -> dict[str, Any]:
        """Return what is measured, and the limits."""
        return dict(self.of)

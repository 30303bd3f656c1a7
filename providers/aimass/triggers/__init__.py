"""Triggers: what a deferred task waits for, asked again and again in Airflow's triggerer.

What can be waited for is a condition; a condition is one file, and one line here.
"""

from __future__ import annotations

from aimass.core.registry import Registry
from aimass.triggers.base import Condition

CONDITIONS: Registry[type[Condition]] = Registry(
    "condition",
    {
        "served": "aimass.triggers.served:Served",
        "unused": "aimass.triggers.unused:Unused",
        "drift": "aimass.triggers.window:Drifted",
        "metric": "aimass.triggers.metric:MetricReached",
        "new_data": "aimass.triggers.new_data:NewData",
    },
)

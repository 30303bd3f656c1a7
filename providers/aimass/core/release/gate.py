"""The quality gate: good enough in itself, and not worse than what is in use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from aimass.core import settings
from aimass.core.errors import ConfigError
from aimass.core.evaluation import METRICS
from aimass.core.texts import Text, say


class GateSettings(settings.Settings):
    """What a model must reach on the test part before an alias may point at it."""

    metric: str = Field(default="auc", description="The metric that decides, as the evaluate stage names it.")
    min: float | None = Field(
        default=0.5,
        description="The least value; for a metric of which less is better, the greatest. None: no limit.",
    )
    max_drop: float | None = Field(
        default=0.02,
        ge=0,
        description="How much worse than the standing version it may be, in units of the metric. None: not compared.",
    )


@dataclass(frozen=True)
class Check:
    """One thing that the gate looked at.

    Attributes
    ----------
    passed : bool
        Whether it is as it must be.
    said : Text
        What was looked at, with its figures.
    """

    passed: bool
    said: Text

    def __str__(self) -> str:
        return str(say("passed: {check}", check=self.said) if self.passed else say("REFUSED: {check}", check=self.said))


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    Attributes
    ----------
    checks : tuple of Check
        What was looked at.
    """

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether the model may pass."""
        return all(check.passed for check in self.checks)

    @property
    def refused(self) -> list[Check]:
        """The checks that did not pass."""
        return [check for check in self.checks if not check.passed]

    @property
    def reasons(self) -> list[str]:
        """One line per check, passed or not."""
        return [str(check) for check in self.checks]


def judge(metrics: Mapping[str, float], standing: Mapping[str, float] | None, gate: GateSettings) -> Verdict:
    """Judge a model by its metrics on the test part.

    Parameters
    ----------
    metrics : mapping
        The model's metrics.
    standing : mapping or None
        The metrics of the version that the alias points at; None where there is none, or the same model.
    gate : GateSettings
        The limits.

    Raises
    ------
    ConfigError
        The evaluation did not measure the gate's metric.
    """
    if gate.metric not in metrics:
        raise ConfigError(
            f"The gate asks for {gate.metric!r}, which the evaluation did not measure",
            known=metrics,
            hint="Set gate.metric to one of these, or add it to the evaluation's metrics",
        )
    sign = 1.0 if METRICS.load(gate.metric).greater_is_better else -1.0
    value = metrics[gate.metric]
    checks = [Check(math.isfinite(value), say("{metric} is {value:.6g}", metric=gate.metric, value=value))]
    if gate.min is not None:
        limits = {"metric": gate.metric, "value": value, "limit": gate.min}
        least = say("{metric} {value:.6g} must be at least {limit:.6g}", **limits)
        most = say("{metric} {value:.6g} must be at most {limit:.6g}", **limits)
        checks.append(Check(sign * value >= sign * gate.min, least if sign > 0 else most))
    if standing is not None and gate.max_drop is not None and gate.metric in standing:
        before = standing[gate.metric]
        said = say(
            "{metric} {value:.6g} may be at most {drop:.6g} worse than the standing {before:.6g}",
            metric=gate.metric,
            value=value,
            drop=gate.max_drop,
            before=before,
        )
        checks.append(Check(sign * (before - value) <= gate.max_drop, said))
    return Verdict(tuple(checks))

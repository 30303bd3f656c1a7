"""The quality gate: good enough in itself, and not worse than what is in use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from aimass.core import settings
from aimass.core.errors import ConfigError
from aimass.core.evaluation import METRICS

REFUSED = "REFUSED"


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
class Verdict:
    """What the gate says.

    Attributes
    ----------
    ok : bool
        Whether the model may pass.
    reasons : list of str
        One line per check, passed or not.
    """

    ok: bool
    reasons: list[str]

    @property
    def refusals(self) -> list[str]:
        """The checks that did not pass."""
        return [reason for reason in self.reasons if reason.startswith(REFUSED)]


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
    checks = [(math.isfinite(value), f"{gate.metric} is {value:.6g}")]
    if gate.min is not None:
        word = "at most" if sign < 0 else "at least"
        checks.append((sign * value >= sign * gate.min, f"{gate.metric} {value:.6g} must be {word} {gate.min:.6g}"))
    if standing is not None and gate.max_drop is not None and gate.metric in standing:
        before = standing[gate.metric]
        drop = sign * (before - value)
        checks.append(
            (
                drop <= gate.max_drop,
                f"{gate.metric} {value:.6g} may be at most {gate.max_drop:.6g} worse than the standing {before:.6g}",
            )
        )
    return Verdict(
        ok=all(passed for passed, _ in checks),
        reasons=[f"{'passed' if passed else REFUSED}: {text}" for passed, text in checks],
    )

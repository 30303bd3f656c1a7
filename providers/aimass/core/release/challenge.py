"""The challenger against the champion, both registered: whether it may take over, and how a person is asked."""

from __future__ import annotations

from dataclasses import dataclass

from aimass.core.errors import NotFoundError
from aimass.core.evaluation import METRICS
from aimass.core.release.base import ModelRegistry, Version
from aimass.core.release.comparison import MetricChange
from aimass.core.release.gate import GateSettings, judge
from aimass.core.release.promotion import CHALLENGER, metrics_of, rolled_back
from aimass.core.release.question import SUBJECT_CHARACTERS, checks, table
from aimass.core.texts import say


@dataclass(frozen=True)
class Challenge:
    """A promotion before it happens.

    Attributes
    ----------
    challenger : Version
        What would be promoted.
    champion : Version or None
        What stands now, unless it is the same model.
    alias : str
        The alias that would move.
    metrics : list of MetricChange
        Every metric on the test part, the gate's first.
    gate : list of str
        The gate's lines.
    passes : bool
        Whether it may take over.
    """

    challenger: Version
    champion: Version | None
    alias: str
    metrics: list[MetricChange]
    gate: list[str]
    passes: bool

    def subject(self) -> str:
        """Return the question in one line of plain text."""
        named = {"name": self.challenger.name, "version": self.challenger.version, "alias": self.alias}
        line = say("Promote version {version} of {name} to {alias}?", **named)
        return " ".join(str(line).split())[:SUBJECT_CHARACTERS]

    def body(self) -> str:
        """Return the comparison as Markdown."""
        verdict = say("The gate would let this model through.")
        if not self.passes:
            verdict = say("The gate would refuse this model, whatever is answered here.")
        champion = self.champion.version if self.champion is not None else None
        return "\n\n".join([f"**{verdict}**", table(self.metrics, champion), checks(self.gate)]) + "\n"


def challenge(registry: ModelRegistry, name: str, gate: GateSettings, *, alias: str) -> Challenge:
    """Compare the challenger of `name` with the version that `alias` points at.

    Raises
    ------
    NotFoundError
        Nothing is called challenger.
    ConfigError
        The gate asks for a metric that nobody measured.
    """
    challenger = registry.aliased(name, CHALLENGER)
    if challenger is None:
        raise NotFoundError(
            f"The model {name!r} has no {CHALLENGER}", hint=f"Release one under the alias {CHALLENGER!r} first"
        )
    standing = registry.aliased(name, alias)
    champion = standing if standing is not None and standing.digest != challenger.digest else None
    own, before = metrics_of(challenger) or {}, metrics_of(champion)
    verdict = judge(own, before, gate)
    found = [*verdict.checks, *rolled_back(challenger)]
    return Challenge(
        challenger=challenger,
        champion=champion,
        alias=alias,
        metrics=[
            _change(metric, own, before or {}) for metric in sorted(own, key=lambda one: (one != gate.metric, one))
        ],
        gate=[str(check) for check in found],
        passes=all(check.passed for check in found),
    )


def _change(metric: str, own: dict[str, float], before: dict[str, float]) -> MetricChange:
    return MetricChange(
        name=metric,
        challenger=own[metric],
        champion=before.get(metric),
        greater_is_better=METRICS.load(metric).greater_is_better,
    )

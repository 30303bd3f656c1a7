"""The shadow check, as the supervisor runs it: a version is tried on recent requests before it may take over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from aimass.core.endpoints.status import ShadowReport
from aimass.serving.config import ServeConfig
from aimass.serving.requests import RecentRequest
from aimass.serving.shadow import TrialOrder, TrialOutcome

if TYPE_CHECKING:
    from aimass.serving.fleet import Fleet

TRIAL_TIMEOUT_S = 120.0


class Trial:
    """Collects recent requests from all workers, has one try them, and judges.

    Parameters
    ----------
    config : ServeConfig
        Says what a version may do and still take over.
    """

    def __init__(self, config: ServeConfig) -> None:
        self._config = config

    async def run(self, fleet: Fleet, name: str, version: str, against: str, rows: int) -> ShadowReport:
        """Return how `version` answers what `against` answered lately; the version must be in memory.

        Raises UnreachableError where no worker runs.
        """
        answers = await fleet.ask_all("recent", (name, rows), list[RecentRequest])
        requests = sorted((request for answer in answers for request in answer), key=lambda request: -request.frame.at)
        requests = [request for request in requests if request.version == against] or requests
        outcomes = await fleet.ask_one(
            "try", TrialOrder(name, version, _first_rows(requests, rows)), TrialOutcome, timeout_s=TRIAL_TIMEOUT_S
        )
        return self._judge(name, version, against, outcomes)

    def _judge(self, name: str, version: str, against: str, outcome: TrialOutcome) -> ShadowReport:
        config = self._config
        reasons = []
        if outcome.failed_rows > config.shadow_max_failed * outcome.rows:
            reasons.append(
                f"{outcome.failed_rows} of {outcome.rows} rows failed or gave NaN (allowed: "
                f"{config.shadow_max_failed:.0%}; the first: {outcome.first_failure})"
            )
        if outcome.mean_abs_diff > config.shadow_max_mean_diff:
            reasons.append(
                f"its probabilities differ by {outcome.mean_abs_diff:.3f} on average (allowed: "
                f"{config.shadow_max_mean_diff:g})"
            )
        if outcome.p50_ms > config.shadow_max_ms:
            reasons.append(f"one row takes {outcome.p50_ms:.1f} ms (allowed: {config.shadow_max_ms:g} ms)")
        facts = msgspec.structs.asdict(outcome)
        del facts["first_failure"]
        return ShadowReport(model=name, version=version, against=against, ok=not reasons, reasons=reasons, **facts)


def _first_rows(requests: list[RecentRequest], rows: int) -> list[RecentRequest]:
    """Return the newest requests that together have about `rows` rows."""
    chosen: list[RecentRequest] = []
    left = rows
    for request in requests:
        if left <= 0:
            break
        chosen.append(request)
        left -= request.frame.n_rows
    return chosen

"""What a watch file (``include/alerts/<model>.yaml``) may say: which model is watched, and what follows from what."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from aimass.core.errors import nearest_name
from aimass.core.evaluation import METRICS as EVALUATION_METRICS
from aimass.core.monitoring.settings import DriftSettings, Evidently, QualitySettings
from aimass.core.release.base import ALIAS_PATTERN, NAME_PATTERN
from aimass.core.settings import Settings

Action = Literal["notify", "page", "retrain", "rollback", "retire"]
"""What a rule does once per incident; all but the first two start a DAG."""

TELLING: tuple[Action, ...] = ("notify", "page")
"""Actions that tell people, and do nothing else."""

RULE_PATTERN = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"

WINDOW_METRICS = {
    "rows": "rows that the window's prediction log has of the watched version",
    "drifted_columns": "columns that moved, significantly and by enough to matter",
    "drifted_share": "the same as a share of the columns that were compared",
    "largest_effect": "greatest effect among all columns, however certain",
    "score_drift": "effect of the move of the answers' distribution, however certain",
    "score_drifted": "1 where that move is significant and large enough to matter, else 0",
    "mean_probability": "mean of the answers",
    "positive_share": "share of the rows that were answered with the positive class",
    "labels": "labels that became known in the window",
    "label_delay_s": "median seconds from the answer to its label",
}
"""What the monitor stage says of a window; a quality metric M gives M, M_low and M_high (the ends of its interval) and
M_loss (how much worse than at release) besides."""

SERVING_METRICS = {
    "requests": "requests answered in the window, over all servers",
    "error_rate": "share of them that were answered with an error",
    "p50_ms": "median latency in ms; of the window's samples the worst",
    "p99_ms": "99th percentile of the latency in ms; of the window's samples the worst",
    "cpu_share": "CPU seconds per second of a server's workers; of the window's samples the worst",
    "rss_bytes": "resident memory of a server's workers; of the window's samples the worst",
    "queue_rows": "rows that waited; of the window's samples the worst",
    "servers_down": "servers that are not ready, or do not answer",
    "servers_behind": "servers that do not serve what the registry asks for",
}
"""What the servers say of a window."""

VOLUME_METRICS = ("rows", "labels", "label_delay_s", "requests")
"""How much came: however little, every window has them, and they say nothing of the model."""

QUALITY_SUFFIXES = ("", "_low", "_high", "_loss")

COLUMN_PREFIX = "drift:"
"""Before a column's name: the effect of its move where it is significant and large enough to matter, else 0."""


def metric_names() -> list[str]:
    """Return every metric that a rule may name, but those of single columns."""
    quality = [metric + suffix for metric in EVALUATION_METRICS.names() for suffix in QUALITY_SUFFIXES]
    return [*WINDOW_METRICS, *SERVING_METRICS, *quality]


class Rule(Settings):
    """One rule: when k of the last n windows are beyond the threshold, an incident opens and the action is taken."""

    name: str = Field(pattern=RULE_PATTERN, description="Its name, for people; each rule of a file has another.")
    metric: str = Field(
        description="What is looked at, such as drifted_columns, auc_high or drift:<column>; docs/rules.md has all."
    )
    above: float | None = Field(default=None, description="A window counts as bad where the metric is greater.")
    below: float | None = Field(default=None, description="A window counts as bad where the metric is less.")
    clear: float | None = Field(
        default=None,
        description="A window counts as good where the metric is on the other side of this; the threshold when empty.",
    )
    k: int = Field(default=2, ge=1, le=100, description="How many bad windows open an incident …")
    n: int = Field(default=3, ge=1, le=100, description="… among how many in a row; a window without data is not bad.")
    clear_k: int = Field(
        default=2, ge=1, le=100, description="How many good windows, one after the other, close the incident."
    )
    level: Literal[1, 2, 3, 4] = Field(
        default=2, description="1 information, 2 warning, 3 serious, 4 critical: what notices are filtered by."
    )
    action: Action = Field(
        default="notify",
        description="What is done once per incident: notify and page tell people; the others start a DAG, and tell.",
    )
    no_data: Literal["notify", "ignore"] = Field(
        default="notify",
        description="Whether people are told when the metric has no data; it is always logged.",
    )
    no_data_k: int = Field(
        default=3,
        ge=1,
        le=100,
        description="After how many windows without data, one after the other; those not judged count.",
    )
    cooldown_minutes: float = Field(
        default=1440,
        ge=0,
        description="How long after an action the same action is not taken again for this model, whatever the rule.",
    )
    why: str = Field(default="", max_length=500, description="What the rule is for, told with the incident.")

    @field_validator("metric")
    @classmethod
    def _metric_is_known(cls, metric: str) -> str:
        if not metric.startswith(COLUMN_PREFIX) and metric not in (known := metric_names()):
            nearest = nearest_name(metric, known)
            hint = f"did you mean {nearest!r}?" if nearest else f"known: {', '.join(known)}, {COLUMN_PREFIX}<column>"
            raise ValueError(f"unknown metric, {hint}")
        return metric

    @model_validator(mode="after")
    def _thresholds_make_sense(self) -> Rule:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"rule {self.name!r} needs either 'above' or 'below'")
        if not all(math.isfinite(value) for value in (self.threshold, self.good)):
            raise ValueError(f"rule {self.name!r}: a threshold is not finite")
        if self.clear is not None and self.sign * (self.clear - self.threshold) > 0:
            side = "at most" if self.sign > 0 else "at least"
            raise ValueError(f"rule {self.name!r}: clear is {self.clear:g}, expected {side} {self.threshold:g}")
        if self.k > self.n:
            raise ValueError(f"rule {self.name!r}: {self.k} of {self.n} windows can never be bad; set n to k or more")
        if self.action in ("rollback", "retire") and self.k < 2:
            raise ValueError(f"rule {self.name!r}: one window is no reason for {self.action}; set k to 2 or more")
        if self.metric in VOLUME_METRICS and self.action not in TELLING:
            told = f"{self.metric} says how much came, not how good the model is"
            raise ValueError(f"rule {self.name!r}: {told}; its action may be notify or page, not {self.action}")
        return self

    @property
    def sign(self) -> int:
        """1 where greater is worse, -1 where less is."""
        return 1 if self.above is not None else -1

    @property
    def threshold(self) -> float:
        """The value beyond which a window is bad."""
        return self.above if self.above is not None else float(self.below or 0.0)

    @property
    def good(self) -> float:
        """The value on whose better side a window is good."""
        return self.threshold if self.clear is None else self.clear

    @property
    def cooldown(self) -> timedelta:
        """How long the action rests after it was taken."""
        return timedelta(minutes=self.cooldown_minutes)

    def is_bad(self, value: float) -> bool:
        """Return whether a window with that value is bad."""
        return self.sign * (value - self.threshold) > 0

    def is_good(self, value: float) -> bool:
        """Return whether a window with that value is good; between bad and good it is neither."""
        return not self.is_bad(value) and self.sign * (value - self.good) <= 0


class Watch(Settings):
    """One watch file: one model that is served, how it is watched, and the rules."""

    model: str = Field(pattern=NAME_PATTERN, description="Name of the registered model.")
    project: str | None = Field(
        default=None, description="The pipeline that releases it; what the registry says when empty."
    )
    description: str = Field(default="", description="For people, in Markdown; shown on the DAG's page.")
    owner: str = Field(default="aimass", description="Who is asked when it fails.")
    alias: str = Field(default="champion", description="The alias whose version is watched.")
    endpoint: str | list[str] = Field(
        default="aimass_serving", description="Connections of the servers that serve it, of the type aimass_serving."
    )
    schedule: str | None = Field(
        default="@hourly", description="Cron expression or preset; manual when empty. One window is judged per run."
    )
    window_minutes: float = Field(default=60, gt=0, le=44640, description="Length of a window.")
    settle_s: float = Field(
        default=90,
        ge=0,
        le=86400,
        description="How long after a window's end its last rows are waited for, in s: the servers' log_flush_s, and a "
        "little more.",
    )
    min_rows: int = Field(
        default=200,
        ge=1,
        description="With fewer rows there is no data about drift, latency and errors; quality goes by labels.",
    )
    drift: DriftSettings = Field(default_factory=DriftSettings, description="When a window counts as drifted.")
    quality: QualitySettings = Field(default_factory=QualitySettings, description="What is measured once labels come.")
    evidently: Evidently = Field(
        default="never",
        description="When Evidently's report of a sample is made: never, where a column or the answers drifted "
        "(alarm), or always; it takes some seconds of a processor.",
    )
    pipeline: str | None = Field(
        default=None, description="The pipeline that `retrain` runs; the project's when empty."
    )
    notify: list[dict[str, Any]] = Field(
        default=[], description="Who is told: {type: smtp|apprise, …}, as in a pipeline's file."
    )
    rules: Annotated[list[Rule], Field(min_length=1)] = Field(description="The rules.")

    @field_validator("alias")
    @classmethod
    def _alias_is_possible(cls, alias: str) -> str:
        if not re.match(ALIAS_PATTERN, alias):
            raise ValueError("letters, digits, - and _ are allowed; not 'latest' or v1, v2 …")
        return alias

    @field_validator("rules")
    @classmethod
    def _names_are_unique(cls, rules: list[Rule]) -> list[Rule]:
        names = [rule.name for rule in rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two rules are called {twice[0]!r}; give each a name of its own")
        return rules

    @property
    def endpoints(self) -> list[str]:
        """The connections of the servers."""
        return [self.endpoint] if isinstance(self.endpoint, str) else list(self.endpoint)

    @property
    def window(self) -> timedelta:
        """Length of a window."""
        return timedelta(minutes=self.window_minutes)

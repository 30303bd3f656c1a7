"""What is known about a model in one window of time: the result of the monitor stage, and what rules and pages read."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from aimass.core.monitoring.log import stamp
from aimass.core.results import StageResult
from aimass.core.storage import Store

TestName = Literal["distribution", "shares", "missing"]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DriftTest(_Document):
    """One comparison of a column in the window with the same column of the reference."""

    name: TestName = Field(
        description="distribution: of numbers, by their order (Kolmogorov-Smirnov, effect Wasserstein); shares: of "
        "categories or bins (G test, effect Jensen-Shannon); missing: of missing values (likewise)."
    )
    statistic: float = Field(description="The greatest difference of the cumulated shares, or G.")
    p: float = Field(description="Chance of such a statistic without drift, from permutations of both samples.")
    q: float = Field(description="p after Benjamini-Hochberg within the column and over the columns.")
    effect: float = Field(description="How large the difference is, however certain.")
    alarm: bool = Field(description="Whether q <= alpha and effect >= min_effect.")


class ColumnDrift(_Document):
    """One raw column, or the model's answers, in the window beside the reference."""

    column: str = Field(description="Its name; probability and label for the answers.")
    kind: str = Field(description="float, int, bool, string or date.")
    rows: int = Field(description="Rows of the window.")
    reference_rows: int = Field(description="Rows of the reference.")
    missing_share: float = Field(description="Share of missing values in the window.")
    reference_missing_share: float = Field(description="The same in the reference.")
    unseen_share: float | None = Field(
        default=None, description="Share of values that the reference never had; none where it had too many to keep."
    )
    mean: float | None = Field(default=None, description="Mean in the window; none where it has no numbers.")
    reference_mean: float | None = Field(default=None, description="Mean of the reference.")
    tests: list[DriftTest] = Field(default_factory=list, description="Its tests; none where nothing can differ.")

    @property
    def drifted(self) -> bool:
        """Whether any of its tests raises an alarm."""
        return any(test.alarm for test in self.tests)

    @property
    def effect(self) -> float:
        """The greatest effect of its tests."""
        return max((test.effect for test in self.tests), default=0.0)

    @property
    def q(self) -> float:
        """The least q of its tests; 1 where it has none."""
        return min((test.q for test in self.tests), default=1.0)


class Drift(_Document):
    """How far the window is from what the model was made with."""

    alpha: float = Field(description="The chance of a false alarm that was allowed.")
    min_effect: float = Field(description="The least effect that mattered.")
    tests: int = Field(description="Number of tests that shared the chance.")
    columns: list[ColumnDrift] = Field(description="The raw columns, in the model's order.")
    probability: ColumnDrift = Field(description="The probabilities, beside those on held-out rows.")
    label: ColumnDrift = Field(description="The share of rows predicted positive, likewise.")

    @property
    def drifted(self) -> list[str]:
        """Names of the drifted raw columns."""
        return [column.column for column in self.columns if column.drifted]

    @property
    def answers_drifted(self) -> bool:
        """Whether the probabilities or the labels drifted."""
        return self.probability.drifted or self.label.drifted

    @property
    def is_alarm(self) -> bool:
        """Whether a column or the answers drifted."""
        return bool(self.drifted) or self.answers_drifted


class QualityFigure(_Document):
    """A metric on labelled rows."""

    metric: str = Field(description="Its name.")
    value: float = Field(description="Its value.")
    low: float = Field(description="Lower end of its 95 % confidence interval.")
    high: float = Field(description="Upper end.")
    at_release: float | None = Field(default=None, description="Its value on the test part; none where unknown.")


class VersionQuality(_Document):
    """The quality of one version's answers."""

    version: str = Field(description="The version that answered.")
    rows: int = Field(description="Its labelled rows.")
    positives: int = Field(description="Of these, the ones of the positive class.")
    figures: list[QualityFigure] = Field(
        default_factory=list, description="Its metrics; none with too few labels, or labels of one class only."
    )


class Quality(_Document):
    """The quality of the answers whose labels became known in the window, whenever they were given."""

    labels: int = Field(description="Labels that became known in the window.")
    matched: int = Field(description="Of these, the ones whose prediction is in the log.")
    delay_p50_s: float | None = Field(default=None, description="Median seconds from prediction to label.")
    delay_p90_s: float | None = Field(default=None, description="90th percentile of them.")
    versions: list[VersionQuality] = Field(default_factory=list, description="By version, the most rows first.")

    def of(self, version: str | None) -> VersionQuality | None:
        """Return the quality of `version`, or None."""
        return next((each for each in self.versions if each.version == version), None)


class Serving(_Document):
    """What the servers of a model measured in the window, as far as they were asked."""

    servers: int = Field(description="Number of servers that served the model.")
    requests: int = Field(description="Requests answered, over all servers.")
    errors: int = Field(description="Requests answered with an error, besides.")
    rows: int = Field(default=0, description="Rows scored.")
    p50_ms: float | None = Field(default=None, description="Median latency in ms; of the samples the worst.")
    p99_ms: float | None = Field(default=None, description="99th percentile of the latency in ms; likewise the worst.")
    cpu_share: float = Field(description="CPU seconds per second of a server's workers; of the samples the worst.")
    rss_bytes: int = Field(description="Resident memory of a server's workers; of the samples the worst.")
    queue_rows: int = Field(description="Rows that waited; of the samples the worst.")

    @property
    def error_rate(self) -> float | None:
        """Share of the requests that were answered with an error; None where there was no request."""
        asked = self.requests + self.errors
        return self.errors / asked if asked else None


class MonitorResult(StageResult):
    """What is known about a model in one window."""

    model: str = Field(description="Name of the registered model.")
    project: str = Field(description="The pipeline that releases it.")
    alias: str = Field(description="The alias that is watched.")
    version: str | None = Field(description="The version that is judged; none where nothing answered under the alias.")
    model_digest: str = Field(description="sha256 of that version's model.onnx; empty where there is none.")
    start: datetime = Field(description="Start of the window (UTC).")
    end: datetime = Field(description="End of the window, which is outside it (UTC).")
    rows: int = Field(description="Logged rows of the judged version in the window.")
    rows_by_version: dict[str, int] = Field(description="Logged rows in the window by version.")
    dropped_rows: int = Field(default=0, description="Rows that the servers could not log.")
    no_data: bool = Field(
        description="Whether there were too few rows to say anything of drift: neither good nor bad. Quality goes by "
        "labels, which may be enough all the same."
    )
    drift: Drift | None = Field(default=None, description="None without data, or where the version has no profile.")
    quality: Quality | None = Field(default=None, description="None where no label became known.")
    serving: Serving | None = Field(default=None, description="None where no server was asked, or none served it.")
    metrics: dict[str, float] = Field(
        default_factory=dict,
        description="What rules look at: rows, drifted_columns, drifted_share, largest_effect, score_drift, "
        "score_drifted, mean_probability, positive_share, labels, label_delay_s, and each quality metric M as M, "
        "M_low, M_high and M_loss (how much worse than at release). A name that is not here has no data.",
    )
    warnings: list[str] = Field(default_factory=list, description="What could not be judged, and why.")
    report: str = Field(default="", description="URI of the HTML report.")
    evidently: str = Field(default="", description="URI of Evidently's report; empty where none was asked for.")


def windows_folder(store: Store, project: str, model: str) -> str:
    """Return the URI of the folder that has one document for each window, by the time of its start."""
    return store.folder(project, "monitoring", model, "windows")


def window_uri(store: Store, result: MonitorResult) -> str:
    """Return where the document of a window lies, for pages and rules that look at many."""
    return f"{windows_folder(store, result.project, result.model)}/{stamp(result.start)}.json"


def read_windows(
    store: Store, project: str, model: str, *, since: datetime | None = None, limit: int = 500
) -> list[MonitorResult]:
    """Return the newest windows that start at or after `since`, at most `limit`, oldest first."""
    folder = windows_folder(store, project, model)
    names = [name for name in store.list(folder) if since is None or name >= f"{stamp(since)}.json"]
    return [MonitorResult.model_validate(store.read_json(f"{folder}/{name}")) for name in names[-limit:]]

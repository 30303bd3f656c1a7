"""monitor: one window of a model in use, held against what the model was made with and what became of its answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pydantic import Field, field_validator, model_validator

from aimass.core.backends import backend_of
from aimass.core.deps import Deps
from aimass.core.errors import DataError, MissingDependencyError, NotFoundError
from aimass.core.evaluation import METRICS
from aimass.core.monitoring.drift import compare, watched
from aimass.core.monitoring.evidently_report import evidently_page, sample_of, training_sample
from aimass.core.monitoring.figures import window_figures
from aimass.core.monitoring.log import LABEL, PROBABILITY
from aimass.core.monitoring.page import monitor_page
from aimass.core.monitoring.profile import Profile
from aimass.core.monitoring.result import Drift, MonitorResult, window_uri
from aimass.core.monitoring.settings import DriftSettings, Evidently, QualitySettings
from aimass.core.monitoring.window import Span, Window
from aimass.core.release import REGISTRIES
from aimass.core.release.base import NAME_PATTERN
from aimass.core.release.promotion import open_registry
from aimass.core.reports import write_report
from aimass.core.stages.base import Output, Stage, StageConfig

PROFILE = "profile.json"
EVIDENTLY = "evidently.html"


class MonitorConfig(StageConfig):
    """Which model, in which window, and what counts."""

    model: str = Field(pattern=NAME_PATTERN, description="Name of the registered model.")
    alias: str = Field(default="champion", description="The alias that is watched.")
    version: str | None = Field(
        default=None, description="Judge this version; the one that answered most often under the alias when empty."
    )
    start: datetime = Field(description="Start of the window; UTC where no offset is given.")
    end: datetime = Field(description="End of the window, which is outside it.")
    min_rows: int = Field(
        default=200,
        ge=1,
        description="With fewer rows there is no data about drift: neither good nor bad.",
    )
    drift: DriftSettings = Field(default_factory=DriftSettings, description="When the window counts as drifted.")
    quality: QualitySettings = Field(default_factory=QualitySettings, description="What is measured on labelled rows.")
    evidently: Evidently = Field(
        default="never",
        description="When Evidently's report of a sample is attached: never, where a column or the answers drifted "
        "(alarm), or always; it takes some seconds of a processor.",
    )
    registry: dict[str, Any] = Field(
        default_factory=lambda: {"type": "mlflow"}, description="Where the model is registered: `type` and settings."
    )
    seed: int = Field(default=0, ge=0, description="Seed of the permutations and of the bootstrap.")

    @field_validator("start", "end")
    @classmethod
    def _time_is_utc(cls, moment: datetime) -> datetime:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)

    @field_validator("registry")
    @classmethod
    def _registry_is_known(cls, registry: dict[str, Any]) -> dict[str, Any]:
        backend_of(REGISTRIES, registry)
        return registry

    @field_validator("quality")
    @classmethod
    def _metrics_are_known(cls, quality: QualitySettings) -> QualitySettings:
        for name in quality.metrics:
            METRICS.load(name)
        return quality

    @model_validator(mode="after")
    def _window_has_a_length(self) -> MonitorConfig:
        if self.start >= self.end:
            raise ValueError(f"the window ends at {self.end}; expected a time after its start, {self.start}")
        return self

    @property
    def span(self) -> Span:
        """The model and its window."""
        return Span(self.model, self.start, self.end)


def _monitor(config: MonitorConfig, deps: Deps, output: Output) -> MonitorResult:
    window = Window(config.span, open_registry(config.registry, deps), deps)
    counts = window.counts()
    by_version = {str(version): int(group["len"].sum()) for (version,), group in counts.group_by("__version")}
    version = config.version or window.aliased(config.alias, counts)
    rows = by_version.get(version or "", 0)
    warnings: list[str] = []
    profiles = _profiles(config, window, version, warnings) if version and rows >= config.min_rows else None
    drift = compare(*profiles, config.drift, seed=config.seed) if profiles else None
    if profiles:
        output.write_file(PROFILE, json.dumps(profiles[1].document(), ensure_ascii=False))
    quality = window.quality(config.quality, seed=config.seed)
    found = window.registered(version) if version else None
    result = MonitorResult(
        uri=output.uri,
        model=config.model,
        project=deps.project,
        alias=config.alias,
        version=version,
        model_digest=found.digest if found else "",
        start=config.start,
        end=config.end,
        rows=rows,
        rows_by_version=by_version,
        dropped_rows=sum(segment.facts.dropped for segment in window.segments),
        no_data=rows < config.min_rows,
        drift=drift,
        quality=quality,
        # Read already for the position, which the result goes by.
        serving=output.position["serving"],
        metrics=window_figures(rows, drift, quality, version),
        warnings=warnings,
    )
    if profiles and drift and _wants_evidently(config, drift):
        result = _attach_evidently(window, result, profiles[1], deps, output)
    report = write_report(output, lambda: monitor_page(result, profiles))
    result = result.model_copy(update={"report": report})
    # Pages and rules look at many windows at once; the newest look at a window is the one that counts.
    deps.store.publish(window_uri(deps.store, result), result.model_dump_json(indent=1).encode())
    return result


def _profiles(
    config: MonitorConfig, window: Window, version: str, warnings: list[str]
) -> tuple[Profile, Profile] | None:
    """Return the reference of `version` and the profile of its rows; None, and a warning, where it has no reference."""
    try:
        reference = window.profile(version)
    except NotFoundError as error:
        warnings.append(f"Drift is not judged: {error} What is released from now on has a profile.")
        return None
    raw = watched(reference.raw, config.drift)
    pieces = window.pieces_of(version, [*(column.name for column in raw), PROBABILITY, LABEL])
    return reference, reference.window(pieces, raw)


def _wants_evidently(config: MonitorConfig, drift: Drift) -> bool:
    return config.evidently == "always" or (config.evidently == "alarm" and drift.is_alarm)


def _attach_evidently(
    window: Window, result: MonitorResult, seen: Profile, deps: Deps, output: Output
) -> MonitorResult:
    """Return `result` with Evidently's report; with a warning where it cannot be made: the window is judged without."""
    version = window.registered(result.version or "")
    assert version is not None, "its profile was read"
    try:
        reference = training_sample(version, seen, deps)
        pieces = window.pieces_of(version.version, reference.columns)
        page = evidently_page(reference, sample_of(pieces, result.rows))
    except (NotFoundError, MissingDependencyError, DataError) as error:
        return result.model_copy(update={"warnings": [*result.warnings, f"There is no Evidently report: {error}"]})
    return result.model_copy(update={"evidently": output.write_file(EVIDENTLY, page)})


STAGE = Stage(
    name="monitor",
    config=MonitorConfig,
    result=MonitorResult,
    code_version=2,
    body=_monitor,
    position=lambda config, deps: config.span.position(deps),
    modules=("polars", "sklearn.metrics", "mlflow", "aimass.core.reports"),
)
run = STAGE.run

"""The rows of one window of one model, and what the registry knows of the versions that answered them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from aimass.core.datasets import collect
from aimass.core.deps import Deps
from aimass.core.errors import NotFoundError
from aimass.core.monitoring.log import (
    ALIAS,
    AT,
    LABEL,
    LABELS,
    PREDICTIONS,
    PROBABILITY,
    REQUEST_ID,
    ROW,
    VERSION,
    Segment,
    scan_labels,
    scan_predictions,
    segments,
    slice_predictions,
)
from aimass.core.monitoring.profile import PROFILE_FILE, Profile
from aimass.core.monitoring.quality import KNOWN_AT, TRUTH, Released, assess
from aimass.core.monitoring.result import Quality, Serving
from aimass.core.monitoring.samples import read_samples, serving_of
from aimass.core.monitoring.settings import QualitySettings
from aimass.core.release.base import METRICS_TAG, ModelRegistry, Version
from aimass.core.storage import text_digest

THRESHOLD_TAG = "aimass.threshold"


@dataclass(frozen=True)
class Span:
    """A model and a window of time.

    Attributes
    ----------
    model : str
        Name of the registered model.
    start, end : datetime
        ``start <= time < end`` (UTC).
    """

    model: str
    start: datetime
    end: datetime

    def segments(self, deps: Deps, *, what: str = PREDICTIONS, back: timedelta = timedelta(0)) -> list[Segment]:
        """Return the segments of the window, or of one that starts `back` earlier."""
        return segments(deps.store, deps.project, self.model, self.start - back, self.end, what=what)

    def serving(self, deps: Deps) -> Serving | None:
        """Return what the servers measured in the window, as far as they were asked; None where nothing is known."""
        samples = read_samples(deps.store, deps.project, self.model, since=self.start, until=self.end)
        return serving_of(samples, self.model)

    def position(self, deps: Deps) -> dict[str, Any]:
        """Return how the log of the window stands, and `serving`: other segments or measurements, another position."""
        logged = {
            what: text_digest([segment.content for segment in self.segments(deps, what=what)])
            for what in (PREDICTIONS, LABELS)
        }
        serving = self.serving(deps)
        return {**logged, "serving": serving.model_dump(mode="json") if serving else None}


class Window:
    """The rows of a window.

    Parameters
    ----------
    span : Span
        Which ones.
    registry : ModelRegistry
        Where the model is registered.
    deps : Deps
        Whose store has the rows.
    """

    def __init__(self, span: Span, registry: ModelRegistry, deps: Deps) -> None:
        self.span = span
        self.segments = span.segments(deps)
        self._registry = registry
        self._deps = deps
        self._versions: dict[str, Version | None] = {}

    def counts(self) -> pl.DataFrame:
        """Return the number of rows by version and alias: ``__version``, ``__alias``, ``len``; the most first."""
        if not self.segments:
            return pl.DataFrame(schema={VERSION: pl.String, ALIAS: pl.String, "len": pl.UInt32})
        rows = scan_predictions(self.segments, self._deps, self.span.start, self.span.end, columns=[VERSION, ALIAS])
        counted = collect(rows.group_by(VERSION, ALIAS).len())
        return counted.sort(["len", VERSION], descending=[True, False])

    def aliased(self, alias: str, counts: pl.DataFrame) -> str | None:
        """Return the version that answered most often under `alias`, or the one that it points at now, or None.

        Raises
        ------
        NotFoundError
            Nothing answered, and there is no such model.
        """
        answered = counts.filter(pl.col(ALIAS) == alias)
        if answered.height:
            return str(answered[VERSION][0])
        found = self._registry.aliased(self.span.model, alias)
        if found is None and self._registry.model(self.span.model) is None:
            known = [model.name for model in self._registry.models()]
            raise NotFoundError(f"The registry has no model {self.span.model!r}", known=known)
        return found.version if found is not None else None

    def pieces_of(self, version: str, columns: Sequence[str]) -> Iterator[pl.LazyFrame]:
        """Yield the rows that `version` answered, piece by piece."""
        own = [segment for segment in self.segments if segment.facts.version == version]
        return slice_predictions(own, self._deps, self.span.start, self.span.end, columns=columns)

    def registered(self, version: str) -> Version | None:
        """Return what the registry knows of `version`; it is asked once."""
        if version not in self._versions:
            self._versions[version] = self._registry.version(self.span.model, version)
        return self._versions[version]

    def profile(self, version: str) -> Profile:
        """Return the reference of `version`.

        Raises
        ------
        NotFoundError
            There is no such version, or it was released without a profile.
        """
        found = self.registered(version)
        if found is None:
            raise NotFoundError(f"The registry has no version {version} of {self.span.model!r}")
        with tempfile.TemporaryDirectory(prefix="aimass-profile-") as folder:
            [path] = self._registry.fetch(found, [PROFILE_FILE], Path(folder))
            return Profile.from_document(json.loads(path.read_bytes()))

    def quality(self, settings: QualitySettings, *, seed: int) -> Quality | None:
        """Return the quality of the answers whose labels became known in the window; None where none did."""
        span, deps = self.span, self._deps
        known = span.segments(deps, what=LABELS)
        if not known:
            return None
        told = scan_labels(known, deps, span.start, span.end)
        labels = collect(told.select(REQUEST_ID, ROW, pl.col(LABEL).alias(TRUTH), pl.col(AT).alias(KNOWN_AT)))
        if labels.is_empty():
            return None
        back = timedelta(hours=settings.horizon_hours)
        answered = span.segments(deps, back=back)
        if not answered:
            return Quality(labels=labels.height, matched=0)
        columns = [REQUEST_ID, ROW, AT, VERSION, PROBABILITY]
        answers = scan_predictions(answered, deps, span.start - back, span.end, columns=columns)
        matched = answers.join(labels.lazy(), on=[REQUEST_ID, ROW], how="inner")
        # Joined rows come in any order; the bootstrap draws by place.
        rows = collect(matched.sort(REQUEST_ID, ROW))
        released = {version: _released(self.registered(version)) for version in rows[VERSION].unique()}
        return assess(rows, labels.height, settings, released, seed=seed)


def _released(version: Version | None) -> Released:
    if version is None:
        return Released()
    threshold = float(version.tags.get(THRESHOLD_TAG, "0.5"))
    return Released(threshold, json.loads(version.tags.get(METRICS_TAG, "{}")))

"""The columns of a dataset as a page shows them: schema, tags, and what an exploration of the same run saw."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from markupsafe import Markup
from pydantic import ValidationError

from aimass.core.errors import AimassError
from aimass.core.exploration.cards import readable
from aimass.core.exploration.profile import ColumnProfile, Exploration, Histogram
from aimass.core.manifest import Manifest
from aimass.core.reports import Bar, bars, percent, short
from aimass.ui.outputs import PublishedOutput, published

EXPLORATION = "exploration.json"
MOST_COLUMNS = 2_000
MOST_PICTURES = 200
"""A picture takes some kilobytes of the page."""
TONES = {"target": "good", "id": "", "time": "", "feature": ""}


@dataclass(frozen=True)
class ColumnLine:
    """One column.

    Attributes
    ----------
    name, type : str
        As the manifest has them.
    tags : dict of str to str
        Its tags.
    profile : ColumnProfile or None
        What explore saw of it.
    picture : Markup or None
        Its distribution.
    least, mean, greatest : str
        In words: times as times.
    """

    name: str
    type: str
    tags: dict[str, str] = field(default_factory=dict)
    profile: ColumnProfile | None = None
    picture: Markup | None = None
    least: str = ""
    mean: str = ""
    greatest: str = ""


def column_lines(manifest: Manifest, exploration: Exploration | None) -> list[ColumnLine]:
    """Return the columns of `manifest`, described by `exploration` where there is one."""
    lines = []
    for number, column in enumerate(manifest.columns[:MOST_COLUMNS]):
        profile = exploration.column(column.name) if exploration is not None else None
        if profile is None:
            lines.append(ColumnLine(column.name, column.type, column.tags))
            continue
        numbers = profile.numbers
        lines.append(
            ColumnLine(
                column.name, column.type, column.tags, profile, _picture(profile) if number < MOST_PICTURES else None,
                *(readable(value, profile) if numbers else "" for value in _range(profile)),
            )
        )  # fmt: skip
    return lines


def exploration_of(found: PublishedOutput, candidates: Iterable[str]) -> Exploration | None:
    """Return the exploration among `candidates` that describes the columns of `found`; None where there is none.

    It describes them where every column is there under its name and type: the dataset that was explored, and those
    from which it was made row by row.
    """
    wanted = {(column.name, column.type) for column in found.manifest.columns}
    for uri in candidates:
        try:
            output = published(found.deps, uri)
            if output.manifest.project != found.manifest.project or not output.has(EXPLORATION):
                continue
            exploration = Exploration.model_validate_json(output.read(EXPLORATION))
        except (AimassError, ValidationError):
            continue  # collected as garbage, or written by another version: the schema alone is shown
        if wanted and wanted <= {(column.name, column.type) for column in exploration.columns}:
            return exploration
    return None


def _range(profile: ColumnProfile) -> tuple[float | None, float | None, float | None]:
    numbers = profile.numbers
    return (numbers.min, numbers.mean, numbers.max) if numbers else (None, None, None)


def _picture(profile: ColumnProfile) -> Markup | None:
    if profile.histogram is not None:
        return _histogram(profile.histogram, profile)
    if profile.top:
        items = [Bar(item.count, f"{short(item.value, 40)}: {item.count:,}", "purple") for item in profile.top[:24]]
        return bars(items, title=short(profile.name))
    return None


def _histogram(histogram: Histogram, profile: ColumnProfile) -> Markup:
    total = max(1, sum(histogram.counts))
    spans = itertools.pairwise(readable(edge, profile) for edge in histogram.edges)
    items = [
        Bar(count, f"{low} – {high}: {count:,} ({percent(count / total)})")
        for count, (low, high) in zip(histogram.counts, spans, strict=True)
    ]
    return bars(items, title=short(profile.name))

"""Inference servers as they stand: asked when the page is, each for a few seconds at most."""

from __future__ import annotations

import gettext
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median
from typing import NamedTuple

from markupsafe import Markup

from aimass.core.endpoints.status import MetricSample, ModelSample, ServedModel, ServerStatus
from aimass.core.errors import AimassError
from aimass.hooks.serving import ServingHook
from aimass.ui.curves import Curve, Mark, Point, curves
from aimass.ui.patience import patiently

PATIENCE_S = 4.0
SHOWN = timedelta(minutes=30)
MEBIBYTE = 1 << 20
LONGEST_STEP = 3.0
"""Times the usual step: where two samples are further apart, nobody measured in between."""


@dataclass(frozen=True)
class LiveServer:
    """One server.

    Attributes
    ----------
    name : str
        Its connection.
    status : ServerStatus or None
        What it serves; None where it does not say.
    is_ready : bool
        Whether it takes requests.
    samples : list of MetricSample
        What it measured lately, oldest first.
    error : str
        Why it does not answer; empty where it does.
    """

    name: str
    status: ServerStatus | None = None
    is_ready: bool = False
    samples: Sequence[MetricSample] = ()
    error: str = ""

    def model(self, name: str) -> ServedModel | None:
        """Return what it serves of a model, or None."""
        return self.status.model(name) if self.status else None


class Panel(NamedTuple):
    """One figure over time: `legend` names its curves with their tones."""

    title: str
    picture: Markup
    legend: list[tuple[str, str]]


def ask(conn_id: str, now: datetime) -> LiveServer:
    """Return the server of a connection as it stands."""

    def question() -> LiveServer:
        endpoint = ServingHook(conn_id).get_conn()
        return LiveServer(conn_id, endpoint.status(), endpoint.is_ready(), endpoint.samples(now - SHOWN))

    try:
        return patiently(question, whom=f"inference server {conn_id}", seconds=PATIENCE_S)
    except AimassError as error:
        return LiveServer(conn_id, error=str(error))


def panels(
    samples: Sequence[MetricSample], model: str, words: gettext.NullTranslations, *,
    span: tuple[datetime, datetime] | None = None, marks: Sequence[Mark] = (),
) -> list[Panel]:  # fmt: skip
    """Return what `samples` of one server show of a model, and of the server's workers.

    Parameters
    ----------
    samples : sequence of MetricSample
        Oldest first.
    model : str
        Name of the model.
    words : NullTranslations
        The reader's language.
    span : tuple of datetime, optional
        The time that is shown; that of the samples when empty.
    marks : sequence of Mark, optional
        What happened meanwhile.
    """
    if not samples:
        return []
    _ = words.gettext
    own = [(sample, sample.models.get(model, ModelSample())) for sample in samples]
    shown = span or (samples[0].at, samples[-1].at)
    longest = LONGEST_STEP * _usual_step(samples)

    def drawn(title: str, *items: Curve) -> Panel:
        legend = [(item.name, item.tone) for item in items] if len(items) > 1 else []
        parted = [replace(item, points=_interrupted(item.points, longest)) for item in items]
        return Panel(title, curves(parted, title=title, marks=marks, floor=0, span=shown), legend)

    def per_second(counts: Sequence[float]) -> list[tuple[datetime, float | None]]:
        return [(one.at, count / one.interval_s) for one, count in zip(samples, counts, strict=True) if one.interval_s]

    return [
        drawn(
            _("Requests per second"),
            Curve(_("answered"), per_second([each.requests for _one, each in own])),
            Curve(_("errors"), per_second([each.errors for _one, each in own]), tone="red"),
        ),
        drawn(
            _("Latency in ms"),
            Curve(_("median"), [(one.at, each.p50_ms) for one, each in own]),
            Curve(_("99th percentile"), [(one.at, each.p99_ms) for one, each in own], tone="orange"),
        ),
        drawn(_("Rows that wait"), Curve(_("rows"), [(one.at, one.queue_rows) for one in samples])),
        drawn(_("Processors in use"), Curve(_("processors"), [(one.at, one.cpu_share) for one in samples])),
        drawn(_("Memory in MiB"), Curve(_("memory"), [(one.at, one.rss_bytes / MEBIBYTE) for one in samples])),
        drawn(
            _("Disk in MiB per second"),
            Curve(_("read"), per_second([one.read_bytes / MEBIBYTE for one in samples])),
            Curve(_("written"), per_second([one.write_bytes / MEBIBYTE for one in samples]), tone="orange"),
        ),
    ]


def _usual_step(samples: Sequence[MetricSample]) -> timedelta:
    steps_s = [(after.at - before.at).total_seconds() for before, after in itertools.pairwise(samples)]
    return timedelta(seconds=median(steps_s) if steps_s else 0)


def _interrupted(points: Sequence[Point], longest: timedelta) -> list[Point]:
    """Return `points` with a break wherever two are more than `longest` apart: no line is drawn over it."""
    found: list[Point] = []
    for at, value in points:
        if found and at - found[-1][0] > longest:
            found.append((found[-1][0] + longest, None))
        found.append((at, value))
    return found

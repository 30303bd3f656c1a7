"""A model over the windows in which it was watched: quality, drift, answers, and where its alias moved."""

from __future__ import annotations

import gettext
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from aimass.core.deps import Deps
from aimass.core.errors import AimassError
from aimass.core.monitoring.result import ColumnDrift, MonitorResult
from aimass.core.monitoring.samples import coarse_samples
from aimass.core.release.ledger import AliasMove
from aimass.ui.curves import MOST_DOTS, Curve, Mark, curves
from aimass.ui.languages import translations
from aimass.ui.live import Panel, panels
from aimass.ui.model_plots import titled

TONES = ("blue", "orange", "green", "purple", "red")
MOST_HEAT_WINDOWS = 60
MOST_SERVERS = 8


class HeatLine(NamedTuple):
    """One column over the windows; a cell is None where it was not compared."""

    column: str
    cells: list[ColumnDrift | None]

    @property
    def drifted(self) -> int:
        """In how many windows it drifted."""
        return sum(cell is not None and cell.drifted for cell in self.cells)


class RunMetrics(NamedTuple):
    """What servers measured over the windows, as the store has it.

    Attributes
    ----------
    servers : list of (str, list of Panel)
        Each server with its figures; those that measured last come first.
    left_out : int
        Number of further servers.
    askings, read : int
        How often servers were asked, and how many of these askings were read.
    broken : str
        Why it cannot be told; empty where it can.
    """

    servers: list[tuple[str, list[Panel]]]
    left_out: int = 0
    askings: int = 0
    read: int = 0
    broken: str = ""


def marks_of(moves: Sequence[AliasMove], alias: str, words: gettext.NullTranslations) -> list[Mark]:
    """Return where `alias` moved."""
    return [
        Mark(
            datetime.fromisoformat(move.when),
            f"v{move.new_version}",
            words.gettext("%(when)s UTC: %(who)s moved %(alias)s to version %(version)s: %(why)s")
            % {
                "when": move.when[:16].replace("T", " "),
                "who": move.who,
                "alias": alias,
                "version": move.new_version,
                "why": move.why,
            },
        )
        for move in moves
        if move.alias == alias
    ]


def quality_panels(windows: Sequence[MonitorResult], marks: Sequence[Mark], language: str) -> list[Panel]:
    """Return a figure for each quality metric, with a curve and a confidence band for each version."""
    span = _span(windows)
    words = translations(language)
    found = [
        (window.end, version.version, figure)
        for window in windows
        for version in (window.quality.versions if window.quality else ())
        for figure in version.figures
    ]
    panels = []
    for metric in dict.fromkeys(figure.metric for _, _, figure in found):
        versions = sorted({version for _, version, figure in found if figure.metric == metric})
        items = []
        for version, tone in zip(versions, TONES * len(versions), strict=False):
            own = {at: one for at, whose, one in found if (whose, one.metric) == (version, metric)}
            name = words.gettext("version %(version)s") % {"version": version}
            points = [(window.end, own[window.end].value if window.end in own else None) for window in windows]
            items.append(Curve(name, points, tone, [(at, one.low, one.high) for at, one in own.items()]))
            released = next((one.at_release for one in reversed(own.values()) if one.at_release is not None), None)
            if released is not None and span is not None:
                at_release = words.gettext("version %(version)s at its release") % {"version": version}
                items.append(Curve(at_release, [(span[0], released), (span[1], released)], tone, dashed=True))
        title = titled(metric, language)
        legend = [(item.name, item.tone) for item in items if not item.dashed]
        panels.append(Panel(title, curves(items, title=title, marks=marks, span=span), legend))
    return panels


def answer_panels(
    windows: Sequence[MonitorResult], marks: Sequence[Mark], words: gettext.NullTranslations
) -> list[Panel]:
    """Return figures of the answers: how far they moved, how many were positive, how many there were."""
    _ = words.gettext
    span = _span(windows)
    newest = next((window.drift for window in reversed(windows) if window.drift), None)
    reference = newest.label.reference_mean if newest else None
    least = newest.min_effect if newest else None

    def followed(name: str, metric: str) -> Curve:
        return Curve(name, [(window.end, window.metrics.get(metric)) for window in windows])

    def drawn(title: str, *items: Curve) -> Panel:
        legend = [(item.name, item.tone) for item in items] if len(items) > 1 else []
        return Panel(title, curves(items, title=title, marks=marks, floor=0, span=span), legend)

    def level(name: str, value: float | None) -> list[Curve]:
        if value is None or span is None:
            return []
        return [Curve(name, [(span[0], value), (span[1], value)], "soft", dashed=True)]

    versions = sorted({version for window in windows for version in window.rows_by_version})
    counted = [
        Curve(
            _("version %(version)s") % {"version": version},
            [(one.end, one.rows_by_version.get(version)) for one in windows],
            tone,
        )
        for version, tone in zip(versions, TONES * len(versions), strict=False)
    ]
    return [
        drawn(
            _("How far the answers moved"),
            followed(_("effect"), "score_drift"),
            *level(_("least that matters"), least),
        ),
        drawn(
            _("Share of positive answers"),
            followed(_("share"), "positive_share"),
            *level(_("at the release"), reference),
        ),
        drawn(_("Answers in the window"), *counted),
    ]


def run_metrics(
    deps: Deps, windows: Sequence[MonitorResult], marks: Sequence[Mark], words: gettext.NullTranslations
) -> RunMetrics:
    """Return figures of what the servers measured over `windows`; no server is asked."""
    span = _span(windows)
    if span is None:
        return RunMetrics([])
    since, until = span
    project, model = windows[-1].project, windows[-1].model
    try:
        # As many points as can be hovered to read their values.
        found = coarse_samples(deps.store, project, model, since=since, until=until, points=MOST_DOTS)
    except AimassError as error:
        return RunMetrics([], broken=str(error))
    servers = sorted(found.servers.items(), key=lambda item: (-item[1][-1].at.timestamp(), item[0]))
    shown = [(name, panels(own, model, words, span=span, marks=marks)) for name, own in servers[:MOST_SERVERS]]
    return RunMetrics(shown, len(servers) - len(shown), found.askings, found.read)


def heat(windows: Sequence[MonitorResult]) -> list[HeatLine]:
    """Return each column over the newest windows, those that drifted most often first."""
    shown = windows[-MOST_HEAT_WINDOWS:]
    names = dict.fromkeys(column.column for window in shown if window.drift for column in window.drift.columns)
    by_window = [{column.column: column for column in window.drift.columns} if window.drift else {} for window in shown]
    lines = [HeatLine(name, [columns.get(name) for columns in by_window]) for name in names]
    return sorted(lines, key=lambda line: -line.drifted)


def _span(windows: Sequence[MonitorResult]) -> tuple[datetime, datetime] | None:
    return (windows[0].start, windows[-1].end) if windows else None

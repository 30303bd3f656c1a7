"""Curves over time drawn by hand: a page that renews itself every few seconds cannot afford a plotting library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from markupsafe import Markup, escape

from aimass.core.reports import number

WIDTH, HEIGHT = 440, 130
LEFT, TOP, RIGHT = 46, 14, 6
DAY_S = 86_400
MOST_DOTS = 80
STEPS = (1, 2, 2.5, 5, 10)

Point = tuple[datetime, float | None]


@dataclass(frozen=True)
class Curve:
    """One curve.

    Attributes
    ----------
    name : str
        What it shows; said on hover.
    points : sequence of (datetime, float or None)
        In order of time; None interrupts the curve.
    tone : str
        Name of one of the page's colours.
    band : sequence of (datetime, float, float)
        Lower and upper end around the curve, such as a confidence interval.
    dashed : bool
        Whether it is something to compare with.
    """

    name: str
    points: Sequence[Point]
    tone: str = "blue"
    band: Sequence[tuple[datetime, float, float]] = field(default=())
    dashed: bool = False


@dataclass(frozen=True)
class Mark:
    """A moment at which something happened: a line from top to bottom.

    Attributes
    ----------
    at : datetime
        When.
    short : str
        Written at its head.
    text : str
        Said on hover.
    tone : str
        Name of one of the page's colours.
    """

    at: datetime
    short: str
    text: str
    tone: str = "purple"


def curves(
    items: Sequence[Curve], *, title: str, marks: Sequence[Mark] = (), floor: float | None = None,
    span: tuple[datetime, datetime] | None = None,
) -> Markup:  # fmt: skip
    """Return curves that share their axes as inline SVG; nothing where there is no point.

    Parameters
    ----------
    items : sequence of Curve
        What is drawn.
    title : str
        Read aloud, with the newest value of each curve.
    marks : sequence of Mark
        Those outside of the time that is shown are left out.
    floor : float, optional
        A value that the axis must reach down to, such as 0.
    span : tuple of datetime, optional
        The time that is shown, where it is not that of the points.
    """
    values = [value for item in items for value in _values(item)]
    times = [at for item in items for at, value in item.points if value is not None]
    if not values:
        return Markup("")
    frame = _Frame(span or (min(times), max(times)), _ticks(min([*values, *_given(floor)]), max(values)))
    parts = [*frame.axes(), *(frame.mark(mark) for mark in marks if frame.shows(mark.at))]
    for item in items:
        parts += [frame.band(item), frame.line(item), *frame.dots(item)]
    heard = "; ".join(f"{item.name} {number(last)}" for item in items if (last := _last(item)) is not None)
    # Every piece is a number or escaped.
    return Markup(  # noqa: S704
        f'<svg class="curves" viewBox="0 0 {WIDTH} {HEIGHT + TOP + 18}" role="img" '
        f'aria-label="{escape(title)}: {escape(heard)}">{"".join(parts)}</svg>'
    )


class _Frame:
    """Where times and values lie on the picture."""

    def __init__(self, span: tuple[datetime, datetime], ticks: Sequence[float]) -> None:
        self._start, self._end = span
        self._seconds = max(1.0, (self._end - self._start).total_seconds())
        self._ticks = ticks

    def shows(self, at: datetime) -> bool:
        return self._start <= at <= self._end

    def axes(self) -> Iterator[str]:
        for tick in self._ticks:
            y = self._y(tick)
            yield f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            yield f'<text x="{LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{escape(number(tick))}</text>'
        form = "%H:%M" if self._seconds <= DAY_S else "%m-%d %H:%M"
        for at, place, anchor in ((self._start, LEFT, "start"), (self._end, WIDTH - RIGHT, "end")):
            text = at.astimezone(UTC).strftime(form)
            yield f'<text x="{place}" y="{HEIGHT + TOP + 13}" text-anchor="{anchor}">{text} UTC</text>'

    def mark(self, mark: Mark) -> str:
        x = self._x(mark.at)
        anchor = "end" if x > WIDTH * 0.85 else "start"
        return (
            f'<g class="mark {escape(mark.tone)}"><title>{escape(mark.text)}</title>'
            f'<path d="M{x:.1f} {TOP - 2}V{HEIGHT + TOP}"/>'
            f'<text x="{x:.1f}" y="9" text-anchor="{anchor}">{escape(mark.short)}</text></g>'
        )

    def band(self, item: Curve) -> str:
        """Return the band as one whisker per point: it has gaps where the curve has."""
        whiskers = [f"M{self._x(at):.1f} {self._y(low):.1f}V{self._y(high):.1f}" for at, low, high in item.band]
        return f'<path class="band {escape(item.tone)}" d="{"".join(whiskers)}"/>' if whiskers else ""

    def line(self, item: Curve) -> str:
        path, joined = [], False
        for at, value in item.points:
            if value is not None:
                path.append(f"{'L' if joined else 'M'}{self._x(at):.1f} {self._y(value):.1f}")
            joined = value is not None
        dash = " dashed" if item.dashed else ""
        return f'<path class="line {escape(item.tone)}{dash}" d="{"".join(path)}"/>'

    def dots(self, item: Curve) -> Iterator[str]:
        """Yield what is hovered to read a value; so many dots that they would touch are left out."""
        if item.dashed or len(item.points) > MOST_DOTS:
            return
        for at, value in item.points:
            if value is not None:
                said = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: {item.name} {number(value)}"
                yield (
                    f'<circle class="{escape(item.tone)}" cx="{self._x(at):.1f}" cy="{self._y(value):.1f}" r="2.6">'
                    f"<title>{escape(said)}</title></circle>"
                )

    def _x(self, at: datetime) -> float:
        return LEFT + (at - self._start).total_seconds() / self._seconds * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        low, high = self._ticks[0], self._ticks[-1]
        return TOP + HEIGHT - (value - low) / (high - low) * HEIGHT


def _ticks(low: float, high: float) -> list[float]:
    """Return three to six round numbers, of which the first is at most `low` and the last at least `high`."""
    extent = high - low or abs(high) or 1.0
    rough = extent / 3
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(each * magnitude for each in STEPS if each * magnitude >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, max(last, first + 1) + 1)]


def _values(item: Curve) -> Iterator[float]:
    yield from (value for _, value in item.points if value is not None)
    for _, low, high in item.band:
        yield from (low, high)


def _given(value: float | None) -> list[float]:
    return [] if value is None else [value]


def _last(item: Curve) -> float | None:
    return next((value for _, value in reversed(item.points) if value is not None), None)

"""Two distributions side by side, drawn by hand: a page of many columns cannot afford a plotting library for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from aimass.core.reports.page import number, percent, short

WIDTH, HEIGHT = 300, 110
BAR = 7
LINE = 2 * BAR + 5
NAME_WIDTH = 90
TONES = ("blue", "orange")


class Side(NamedTuple):
    """One of the two.

    Attributes
    ----------
    name : str
        Shown on hover.
    shares : sequence of float
        Between 0 and 1, one for each place.
    """

    name: str
    shares: Sequence[float]


def curve_pair(places: Sequence[float], sides: tuple[Side, Side], *, title: str) -> Markup:
    """Return two curves over the same ascending numbers as inline SVG, the axes from 0 to 1 and from end to end."""
    low, high = (places[0], places[-1]) if len(places) else (0.0, 0.0)
    # Halves: the difference of two huge numbers may be beyond the hugest.
    span = (high / 2 - low / 2) or 1.0
    at = [(place / 2 - low / 2) / span * WIDTH for place in places]
    drawn = [
        f'<g><title>{escape(side.name)}</title><path style="fill:none;stroke:var(--{tone});stroke-width:1.6" d="'
        + "".join(
            f"{'L' if index else 'M'}{x:.1f} {HEIGHT * (1 - share):.1f}"
            for index, (x, share) in enumerate(zip(at, side.shares, strict=True))
        )
        + '"/></g>'
        for side, tone in zip(sides, TONES, strict=True)
    ]
    ends = f'<text y="{HEIGHT + 11}">{escape(number(low))}</text>'
    ends += f'<text x="{WIDTH}" y="{HEIGHT + 11}" text-anchor="end">{escape(number(high))}</text>'
    base = f'<path class="base" d="M0 0V{HEIGHT}H{WIDTH}" style="fill:none"/>'
    return _picture("".join([base, *drawn, ends]), HEIGHT + 14, title)


def bar_pair(names: Sequence[str], sides: tuple[Side, Side], *, title: str) -> Markup:
    """Return a pair of bars for each name as inline SVG, from top to bottom; the longest one fills the picture."""
    top = max((share for side in sides for share in side.shares), default=0) or 1.0
    drawn = []
    for index, name in enumerate(names):
        y = index * LINE
        drawn.append(f'<text x="{NAME_WIDTH - 6}" y="{y + BAR + 4}" text-anchor="end">{escape(short(name, 16))}</text>')
        for offset, (side, tone) in enumerate(zip(sides, TONES, strict=True)):
            share = side.shares[index]
            width = share / top * (WIDTH - NAME_WIDTH)
            said = escape(f"{name}, {side.name}: {percent(share)}")
            drawn.append(
                f'<g><title>{said}</title><rect x="{NAME_WIDTH}" y="{y + offset * BAR}" width="{width:.1f}" '
                f'height="{BAR}" style="fill:var(--{tone})"/></g>'
            )
    return _picture("".join(drawn), max(1, len(names)) * LINE, title)


def _picture(body: str, height: int, title: str) -> Markup:
    # Every piece is a number or escaped.
    return Markup(  # noqa: S704
        f'<svg class="bars" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{body}</svg>'
    )

"""Small bar charts drawn by hand: a page of two thousand columns cannot afford a plotting library for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

WIDTH, HEIGHT = 300, 70
GAP = 1.0
LEAST_HEIGHT = 1.5


class Bar(NamedTuple):
    """One bar.

    Attributes
    ----------
    height : float
        Its value; the highest one fills the chart.
    text : str
        Shown on hover.
    tone : str
        Name of one of the page's colours.
    """

    height: float
    text: str
    tone: str = "blue"


def bars(items: Sequence[Bar], *, title: str, ends: tuple[str, str] = ("", "")) -> Markup:
    """Return a bar chart as inline SVG, each bar explained on hover.

    Parameters
    ----------
    items : sequence of Bar
        From left to right.
    title : str
        Read aloud.
    ends : tuple of str
        Labels under the first and the last bar.
    """
    top = max((item.height for item in items), default=0) or 1
    step = WIDTH / max(1, len(items))
    drawn = [_bar(item, index * step, step, top) for index, item in enumerate(items)]
    labels = f'<text y="{HEIGHT + 11}">{escape(ends[0])}</text>'
    labels += f'<text x="{WIDTH}" y="{HEIGHT + 11}" text-anchor="end">{escape(ends[1])}</text>'
    # Every piece is a number or escaped.
    return Markup(  # noqa: S704
        f'<svg class="bars" viewBox="0 0 {WIDTH} {HEIGHT + 14}" role="img" aria-label="{escape(title)}">'
        f'{"".join(drawn)}<path class="base" d="M0 {HEIGHT}H{WIDTH}"/>{labels}</svg>'
    )


def _bar(item: Bar, x: float, step: float, top: float) -> str:
    height = max(LEAST_HEIGHT, item.height / top * HEIGHT) if item.height > 0 else 0
    width = max(0.5, step - GAP)
    # The hover area is the whole height: a low bar is as easy to ask as a high one.
    return (
        f'<g><title>{escape(item.text)}</title><rect class="hover" x="{x:.1f}" width="{step:.1f}" height="{HEIGHT}"/>'
        f'<rect class="{escape(item.tone)}" x="{x:.1f}" y="{HEIGHT - height:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}"/></g>'
    )

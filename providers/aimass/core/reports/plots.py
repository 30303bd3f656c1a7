"""Plots by matplotlib as inline SVG: text stays text, so the reader's fonts show any script; colours are the page's."""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from aimass.core.texts import Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Stand-ins that `svg` replaces by the page's variables; any other colour stays as it is.
BLUE, ORANGE, GREEN, RED, PURPLE = "#2f6fdb", "#d9781a", "#2a9155", "#cf3b3b", "#8453c6"
INK, SOFT, LINE, CARD = "#1c2230", "#667085", "#dfe3ea", "#fffffe"
VARIABLES = {
    BLUE: "blue",
    ORANGE: "orange",
    GREEN: "green",
    RED: "red",
    PURPLE: "purple",
    INK: "ink",
    SOFT: "soft",
    LINE: "line",
    CARD: "card",
}
CYCLE = [BLUE, ORANGE, GREEN, PURPLE, RED]
# matplotlib's settings belong to the process: two pages that change and restore them at once would mix them up.
_settings = threading.Lock()

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "aimass",
    "font.family": ["sans-serif"],
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "patch.linewidth": 0.6,
    # A column may be called "$x_i$": that is its name, not a formula.
    "text.parse_math": False,
}


def new_figure(*, width_in: float = 5.0, height_in: float = 3.2, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """Return a figure in the house style with its axes (an array of them for several); pyplot stays out of it.

    Parameters
    ----------
    width_in, height_in : float
        Size in inches; the page scales it to its column.
    rows, columns : int
        Grid of axes.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with _settings, rc_context(_style()):
        figure = Figure(figsize=(width_in, height_in), facecolor="none", layout="constrained")
        return figure, figure.subplots(rows, columns)


class Plot:
    """A plot as inline SVG, drawn once: its text is text, so that only the labels differ between languages.

    Parameters
    ----------
    body : str
        The SVG, labels in English.
    title : Text or str
        Read aloud.
    labels : sequence of Text
        Those of the plot's texts that have a translation.
    """

    def __init__(self, body: str, title: Text | str, labels: Sequence[Text]) -> None:
        self._body = body
        self._title = title
        self._labels = labels

    def __html__(self) -> str:
        """Return the markup in the language that is spoken now."""
        body = self._body
        for label in self._labels:
            body = body.replace(f">{escape(label.message)}</text>", f">{escape(str(label))}</text>")
        name = escape(str(self._title))
        return body.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)


def svg(figure: Figure, *, title: Text | str, labels: Sequence[Text] = ()) -> Plot:
    """Return `figure` as inline SVG that scales with the page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        From `new_figure`.
    title : Text or str
        Read aloud.
    labels : sequence of Text, optional
        Texts of the figure, drawn in English, that are to be translated.
    """
    from matplotlib import rc_context

    _settle(figure)
    stream = io.StringIO()
    with _settings, rc_context(_style()), warnings.catch_warnings():
        # The reader's browser draws the text; here a missing glyph only blurs its measured width.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return Plot(_inline(stream.getvalue()), title, labels)


def _settle(figure: Figure) -> None:
    """Bring what was drawn outside `new_figure`, under matplotlib's own defaults, into the house style."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)
        if text.get_color() in ("black", "k", "#000000"):
            text.set_color(INK)
    for axes in figure.axes:
        legend = axes.get_legend()
        if legend is not None:
            legend.set_frame_on(False)


def _style() -> dict[Any, Any]:
    from cycler import cycler

    return {**STYLE, "axes.prop_cycle": cycler(color=CYCLE)}


def _inline(document: str) -> str:
    """Cut a standalone SVG document down to what belongs inside HTML: no prologue, no fixed size, no repeated ids."""
    box = re.search(r'viewBox="([^"]+)"', document)
    assert box is not None, "matplotlib always writes a viewBox"
    body = document[document.index(">", document.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[a-z_.0-9]+"', "<g", body)
    body = re.sub(r"<!--.*?-->\n?|\n\s*", " ", body, flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    body = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px var(--font)", body)
    return f'<svg class="plot" viewBox="{box.group(1)}">{body}'
